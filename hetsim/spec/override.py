"""`--set key.path=value`: a document with some of its values replaced."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.spec import options
from hetsim.spec.load import Document, Place, as_list, as_mapping, key_of, parse_value
from hetsim.spec.options import REGISTRIES

_STEP = re.compile(r"\.?([^.\[\]=\s]+)|\[([0-9]{1,8}|[A-Za-z_][A-Za-z0-9_.-]*)\]")
_NUMBER = re.compile("[0-9]{1,8}")
_COUNT = ("network", "nodes"), "count"
"""What a network node has beside its technology."""


def apply(document: Document, assignments: Sequence[str]) -> tuple[Document, list[str]]:
    """The document after assignments such as "method.name=fedprox", in their order.

    List items are `fleet[0].count=3` or `fleet.0.count=3`, or have a name: `fleet[pi].count=3` of a
    group called pi, or of profile pi; `network.links[ap--switch].latency=1 ms`. One that is set to
    `none` is left out. Short forms are written out where an assignment goes into them. Naming
    another plug-in (`method.name=X`, or just `method=X`) drops the options in the file that X does
    not have; options that were set stay, so that a wrong one is found.

    Returns:
        The document, and a line for the user about each option that was dropped.

    Raises:
        SpecError: no such list item, or text that is not a key, `=` and a value.
    """
    data, marks = copy.deepcopy(document.data), dict(document.marks)
    dropped: dict[Place, str] = {}
    without: set[Place] = set()
    for assignment in assignments:
        origin = f"--set {assignment}"
        steps, text = _split(assignment, origin)
        value = parse_value(text, origin)
        place = _open(data, marks, steps, origin)
        if value == "none" and isinstance(place[-1], int):
            without.add(place)
            continue
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
    return _without(Document(document.name, data, marks), without), notes


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
    if section in (("server",), ("surrogate",)):
        return "profile" if section == ("server",) else "run"
    return "technology" if section[:2] == ("network", "nodes") else "name"


def _split(assignment: str, origin: str) -> tuple[Place, str]:
    key, equals, text = assignment.partition("=")
    key, text = key.strip(), text.strip()
    steps: list[str | int] = []
    end = 0
    while match := _STEP.match(key, end):
        name, index = match.groups()
        steps.append(name or (int(index) if _NUMBER.fullmatch(index) else index))
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
    if isinstance(step, str) and not _NUMBER.fullmatch(step):
        names = [_names(item, index) for index, item in enumerate(holder)]
        found = [index for index, of in enumerate(names) if [step] == of[:1]] or [
            index for index, of in enumerate(names) if step in of
        ]
        if len(found) == 1:
            return found[0]
        known = [of[0] for of in names if of]
        what = f'is a list without an item "{step}".{did_you_mean(step, known)}'
        if found:
            what = f'has {len(found)} items that are called "{step}".'
        others = f", or a name: {', '.join(known)}" if known else ""
        remedy = f"Write {key_of(at)}[0] for its first item{others}."
        raise SpecError(what, where=origin, key=key_of(at), remedy=remedy)
    if int(step) >= len(holder):
        what = f"has {len(holder)} items, counted from 0."
        remedy = "Choose one of them, or edit the file."
        raise SpecError(what, where=origin, key=key_of(at), remedy=remedy)
    return int(step)


def _names(item: Any, index: int) -> list[str]:
    """What an item of a list may be called, its own name first."""
    section = as_mapping(item) or {}
    between = as_list(section.get("between")) or []
    ends = [str(end) for end in between]
    names = [section.get("name"), f"gateway-{index}" if "at" in section else None]
    names += ["--".join(ends), "--".join(ends[::-1])] if ends else []
    names.append(PurePath(str(section["profile"])).stem if "profile" in section else None)
    return [name for name in names if isinstance(name, str)]


def _without(document: Document, items: Collection[Place]) -> Document:
    """The document without some items of its lists."""
    data, marks = document.data, document.marks
    for *holder, index in sorted(items, key=lambda item: (len(item), item[-1]), reverse=True):
        place, depth = tuple(holder), len(holder)
        del _at(data, place)[index]
        kept: dict[Place, int | str] = {}
        for mark, line in marks.items():
            after = int(mark[depth]) - int(index) if mark[:depth] == place != mark else -1
            if after > 0:
                mark = (*place, int(mark[depth]) - 1, *mark[depth + 1 :])
            if after != 0:
                kept[mark] = line
        marks = kept
    return Document(document.name, data, marks)


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
    others = [option for option in others if (section[:2], option) != _COUNT]
    return [
        option
        for option in others
        if option not in accepted and not isinstance(marks.get((*section, option)), str)
    ]
