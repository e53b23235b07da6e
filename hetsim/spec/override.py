"""`--set key.path=value`: a document with some of its values replaced."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.spec import options
from hetsim.spec.load import Document, Place, as_list, as_mapping, key_of, parse_value
from hetsim.spec.options import REGISTRIES

_STEP = re.compile(r"\.?([^.\[\]=\s]+)|\[([0-9]{1,8})\]")


def apply(document: Document, assignments: Sequence[str]) -> tuple[Document, list[str]]:
    """The document after assignments such as "method.name=fedprox", in their order.

    List items are `fleet[0].count=3` or `fleet.0.count=3`. Short forms are written out where an
    assignment goes into them. Naming another plug-in (`method.name=X`, or just `method=X`) drops
    the options in the file that X does not have; options that were set stay, so that a wrong one
    is found.

    Returns:
        The document, and a line for the user about each option that was dropped.

    Raises:
        SpecError: no such list item, or text that is not a key, `=` and a value.
    """
    data, marks = copy.deepcopy(document.data), dict(document.marks)
    dropped: dict[Place, str] = {}
    for assignment in assignments:
        origin = f"--set {assignment}"
        steps, text = _split(assignment, origin)
        value = parse_value(text, origin)
        place = _open(data, marks, steps, origin)
        section = _at(data, place)
        if isinstance(value, str) and isinstance(section, dict) and name_key(place) in section:
            place = (*place, name_key(place))
        for mark in [mark for mark in marks if mark[: len(place)] == place]:
            del marks[mark]
        marks[place] = origin
        _at(data, place[:-1])[place[-1]] = value
        if place[-1] == name_key(place[:-1]) and isinstance(value, str):
            for option in _dropped(data, marks, place[:-1], value, origin):
                del _at(data, place[:-1])[option]
                dropped[(*place[:-1], option)] = value
    notes = [
        f"{key_of(place)} dropped: {name} has no such option"
        for place, name in dropped.items()
        if place not in marks or not isinstance(marks[place], str)
    ]
    return Document(document.name, data, marks), notes


def plug_in_kind(section: Place) -> str | None:
    """Which of `REGISTRIES` the plug-in described at `section` belongs to, if it is a plug-in's.

    >>> plug_in_kind(("task", "data")), plug_in_kind(("fleet", 0, "data"))
    ('data', None)
    """
    if section == ("network",) or (section[:2] == ("network", "nodes") and len(section) == 3):
        return "technology"
    last = section[-1] if section else ""
    if last == "data" and section[0] != "task":
        return None
    if last in ("trace_up", "trace_down"):
        return "trace"
    return str(last) if last in REGISTRIES else None


def name_key(section: Place) -> str:
    """The key whose value alone is the short form of a section."""
    if section == ("server",):
        return "profile"
    return "technology" if section[:2] == ("network", "nodes") else "name"


def _split(assignment: str, origin: str) -> tuple[Place, str]:
    key, equals, text = assignment.partition("=")
    key, text = key.strip(), text.strip()
    steps: list[str | int] = []
    end = 0
    while match := _STEP.match(key, end):
        name, index = match.groups()
        steps.append(int(index) if index else name)
        end = match.end()
    if not equals or not text or not steps or end < len(key) or key.startswith("."):
        raise SpecError(
            "not of the form key.path=value.",
            where=origin,
            remedy="Write for example --set method.lr=0.1 or --set fleet[0].count=3.",
        )
    return tuple(steps), text


def _open(data: dict[str, Any], marks: dict[Place, int | str], steps: Place, origin: str) -> Place:
    """Make sure that a mapping or list holds the last step; the steps with indices as numbers."""
    holder: Any = data
    place: Place = ()
    for step in steps[:-1]:
        place = (*place, _index(holder, step, place, origin))
        key: Any = place[-1]
        mapping = as_mapping(holder)
        inner: Any = holder[key] if mapping is None else mapping.get(key, {})
        if isinstance(inner, str):
            inner = {name_key(place): inner}
        if as_mapping(inner) is None and as_list(inner) is None:
            raise SpecError(
                "is a single value.",
                where=origin,
                key=key_of(place),
                remedy=f"Set {key_of(place)} itself.",
            )
        marks.setdefault(place, origin)
        holder[key] = inner
        holder = inner
    return (*place, _index(holder, steps[-1], place, origin))


def _index(holder: dict[str, Any] | list[Any], step: str | int, at: Place, origin: str) -> Any:
    """`step` as a key of a mapping, or as an index that a list has."""
    if isinstance(holder, dict):
        return str(step)
    if isinstance(step, str) and not re.fullmatch("[0-9]{1,8}", step):
        remedy = f"Write {key_of(at)}[0] for its first item."
        raise SpecError("is a list.", where=origin, key=key_of(at), remedy=remedy)
    if int(step) >= len(holder):
        what = f"has {len(holder)} items, counted from 0."
        remedy = "Choose one of them, or edit the file."
        raise SpecError(what, where=origin, key=key_of(at), remedy=remedy)
    return int(step)


def _at(data: Any, place: Place) -> Any:
    """The value there, or None."""
    for step in place:
        mapping = as_mapping(data)
        data = data[step] if mapping is None else mapping.get(str(step))
    return data


def _dropped(
    data: dict[str, Any], marks: dict[Place, int | str], section: Place, name: str, origin: str
) -> list[str]:
    """Options that the file gives the old plug-in and the one called `name` does not have."""
    kind = plug_in_kind(section)
    others = [option for option in _at(data, section) if option != name_key(section)]
    if kind is None or not others:
        return []
    key = key_of((*section, name_key(section)))
    accepted = options.accepts(REGISTRIES[kind].load(name, where=origin, key=key))
    return [
        option
        for option in others
        if option not in accepted and not isinstance(marks.get((*section, option)), str)
    ]
