"""YAML as plain data that remembers where each value stands.

Scalars follow the core schema of YAML 1.2: only `true` and `false` are booleans, `1e6` is a number,
`on`, `no` and `1:30` are text. What can hurt is refused: tags, aliases of mappings and lists (they
can grow without bound), merge keys, duplicate keys, deep nesting, several documents.

Source: YAML 1.2.2, section 10.3.2 (tag resolution of the core schema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml

from hetsim.core.errors import SpecError

Place = tuple[str | int, ...]
"""Path to a value: ("fleet", 2, "link", "rate")."""

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST_FILE = 1 << 20
_DEEPEST = 50
_LONGEST_NUMBER = 400
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file.

    Attributes:
        name: the file as the user knows it, for messages.
        data: its mapping, plain values only.
        marks: line of each value, or the option that set it.
    """

    name: str
    data: dict[str, Any]
    marks: Mapping[Place, int | str]

    def where(self, *place: str | int) -> str:
        """The file and line of a value, or of the nearest thing around it that has one."""
        for end in range(len(place), -1, -1):
            mark = self.marks.get(place[:end])
            if mark is not None:
                return mark if isinstance(mark, str) else f"{self.name}:{mark}"
        return self.name


def read(path: Path, *, nulls: bool = False) -> Document:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: the file.
        nulls: accept keys without a value.

    Raises:
        SpecError: the file cannot be read, or is not YAML of the kind described above.
    """
    name = str(path)
    try:
        if not path.is_file():
            what = "is not a file." if path.exists() else "no such file."
            raise SpecError(what, where=name, remedy="Check the path.")
        if path.stat().st_size > _LARGEST_FILE:
            raise SpecError("the file is larger than 1 MiB.", where=name, remedy="Make it shorter.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"the file is not text in UTF-8 (byte {error.start}).",
            where=name,
            remedy="Give a YAML file, saved as UTF-8.",
        ) from None
    except OSError as error:
        what = f"cannot be read ({error.strerror})."
        raise SpecError(what, where=name, remedy="Check its permissions.") from None
    return parse(text, name, nulls=nulls)


def parse(text: str, name: str, *, nulls: bool = False) -> Document:
    """As `read`, from text; `name` stands for the file in messages.

    >>> parse("stop: {rounds: 30}", "x.yaml").where("stop", "rounds")
    'x.yaml:1'
    """
    reader = _Reader(text, name, nulls)
    value = reader.document()
    data = as_mapping(value)
    if data is None:
        raise SpecError(
            f"expected a mapping at the top, got {in_words(value)}.",
            where=f"{name}:1",
            remedy="Write sections such as `name: my_fleet`, one a line.",
        )
    return Document(name, data, reader.marks)


def parse_value(text: str, name: str) -> Any:
    """The value of `--set key=TEXT`: a YAML scalar, or a list or mapping in flow style."""
    return _Reader(text, name, nulls=False).document()


def dump(data: Mapping[str, Any]) -> str:
    """YAML text that `parse` reads back as `data`."""
    return yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )


def in_words(value: object) -> str:
    """A YAML value as a message shows it.

    >>> in_words([1]), in_words("abc"), in_words(3)
    ('a list', 'the text "abc"', '3')
    """
    if isinstance(value, str):
        return f'the text "{value if len(value) <= 60 else value[:57] + "..."}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return "nothing" if value is None else str(value)[:60]


def key_of(place: Place) -> str:
    """A path as a message shows it.

    >>> key_of(("fleet", 2, "link", "rate"))
    'fleet[2].link.rate'
    """
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def as_mapping(value: object) -> dict[str, Any] | None:
    """The value if it is a mapping."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def as_list(value: object) -> list[Any] | None:
    """The value if it is a list."""
    return cast(list[Any], value) if isinstance(value, list) else None


class _Reader:
    """Builds plain data from the parser's events; one per text."""

    def __init__(self, text: str, name: str, nulls: bool) -> None:
        self.name, self.nulls = name, nulls
        self.marks: dict[Place, int | str] = {}
        self.anchors: dict[str, object] = {}
        self.expanded = 0
        bad = _UNPRINTABLE.search(text)
        if bad:
            line = text.count("\n", 0, bad.start()) + 1
            self._fail(line - 1, f"unprintable character {bad.group()!r}.", "Remove it.")
        self.events: Iterator[Any] = iter(cast(Any, yaml).parse(text, Loader=_Parser))

    def document(self) -> object:
        """The one document of the text."""
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise SpecError("the file is empty.", where=self.name, remedy="Write something to it.")
        event = self._next()
        value = self._value(event, ())
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            line = event.start_mark.line
            self._fail(line, "a second document begins here.", "Give each its own file.")
        return value

    def _next(self) -> Any:
        try:
            return next(self.events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = f"not valid YAML: {error.problem or error.context}."
            remedy = "Check the indentation (spaces, no tabs), colons, brackets and quotes there."
            self._fail(mark.line if mark else 0, what, remedy)

    def _value(self, event: Any, place: Place) -> object:
        line: int = event.start_mark.line
        self.marks.setdefault(place, line + 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            what = f"the tag {_short_tag(event.tag)} is not allowed."
            self._fail(line, what, "Write plain values.", place)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, place)
            if event.anchor:
                self.anchors[event.anchor] = value
            return value
        if event.anchor:
            self.anchors[event.anchor] = _COLLECTION
        if len(place) >= _DEEPEST:
            self._fail(line, f"nested deeper than {_DEEPEST} levels.", "Make it flatter.")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(place)
        return self._mapping(place)

    def _list(self, place: Place) -> list[object]:
        items: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*place, len(items))))
        return items

    def _mapping(self, place: Place) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line: int = event.start_mark.line
            key = self._key(event, place)
            if key in entries:
                first = self.marks[(*place, key)]
                self._fail(
                    line, f"given twice (first in line {first}).", "Keep one.", (*place, key)
                )
            self.marks[(*place, key)] = line + 1
            entries[key] = self._value(self._next(), (*place, key))
        return entries

    def _key(self, event: Any, place: Place) -> str:
        line: int = event.start_mark.line
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            self._fail(line, "a key must be text.", "Write `key: value`.", place)
        if event.value == "<<" and event.implicit[0]:
            self._fail(line, "merge keys are not allowed.", "Write the keys out.", place)
        key = event.value
        if not isinstance(self._scalar(event, (*place, key), key=True), str):
            self._fail(line, f"the key {key} is not text.", f'Write "{key}" in quotes.', place)
        return key

    def _scalar(self, event: Any, place: Place, *, key: bool = False) -> object:
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block
            return text
        value = _resolve(text)
        if value is None and not self.nulls and not key:
            what = "has no value."
            self._fail(event.start_mark.line, what, "Write one, or remove the key.", place)
        if value is _REFUSED:
            what = f"{text[:60]} is not a finite number that can be computed with."
            self._fail(event.start_mark.line, what, "Write a smaller number.", place)
        return value

    def _alias(self, event: Any) -> object:
        line: int = event.start_mark.line
        value = self.anchors.get(event.anchor, _COLLECTION)
        self.expanded += len(str(value))
        if value is _COLLECTION or self.expanded > _LARGEST_FILE:
            what = f"the alias *{event.anchor} does not stand for a short text or a number."
            self._fail(line, what, "Write the mapping or list out.")
        return value

    def _fail(self, line: int, what: str, remedy: str, place: Place = ()) -> NoReturn:
        where = f"{self.name}:{line + 1}"
        raise SpecError(what, where=where, key=key_of(place), remedy=remedy)


_REFUSED = object()
_COLLECTION = object()


def _resolve(text: str) -> object:
    """A plain scalar by the core schema of YAML 1.2; `_REFUSED` for a number beyond float64."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text[0] in "tT"
    if _INT.fullmatch(text):
        return int(text, 0 if text[1:2] in "xo" else 10) if _fits(text) else _REFUSED
    if _FLOAT.fullmatch(text):
        return float(text) if _fits(text) and isfinite(float(text)) else _REFUSED
    return _REFUSED if _NOT_FINITE.fullmatch(text) else text


def _fits(text: str) -> bool:
    return len(text) <= _LONGEST_NUMBER


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:60]


class _Dumper(yaml.SafeDumper):
    """Quotes every text that would not be read back as text."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    plain = _resolve(text) is text and text != "<<" and text.isprintable()
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType]


_Dumper.add_representer(str, _represent_text)
