"""Options of a plug-in: what it accepts, and its arguments from what a user wrote.

The options are the fields of the plug-in's frozen dataclass, or the keyword-only parameters of its
factory function. How an option is read follows from the *text* of its annotation, because the
aliases of `hetsim.core.quantities` are all `float` once they are evaluated; a plug-in's module
therefore begins with `from __future__ import annotations`.

    Seconds Joules Watts Bytes Rate Hertz Celsius   text with a unit
    Fraction                                        a number between 0 and 1, or a percentage
    int float bool str                              bare; Flops and Cycles are floats
    Literal[...]                                    one of its values
    tuple[X, ...] and tuple[X, Y]                   a list
    X | None                                        also `none`

Where the default of a number is infinite, `none` stands for it ("no limit").
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from math import inf
from typing import Any, Literal, cast, get_args, get_origin

from hetsim.core.errors import HetsimError, SpecError, UnknownName, did_you_mean
from hetsim.core.registry import (
    DATA,
    GOVERNORS,
    METHODS,
    MODELS,
    NETWORKS,
    PACES,
    PARTITIONS,
    SELECTIONS,
    Registry,
)
from hetsim.sim.churn import PATTERNS
from hetsim.spec import units
from hetsim.spec.load import as_list, in_words


@dataclass(frozen=True)
class Patterns:
    """The availability patterns, asked like a registry; they are all in one module."""

    kind: str = "availability"

    def names(self) -> list[str]:
        """Every pattern."""
        return sorted(PATTERNS)

    def load(self, name: str, *, where: str = "", key: str = "") -> Any:
        """The class of a pattern.

        Raises:
            UnknownName: there is none of this name.
        """
        if name not in PATTERNS:
            raise UnknownName(self.kind, name, PATTERNS, where=where, key=key)
        return PATTERNS[name]


REGISTRIES: dict[str, Registry | Patterns] = {
    "method": METHODS,
    "model": MODELS,
    "data": DATA,
    "partition": PARTITIONS,
    "pace": PACES,
    "selection": SELECTIONS,
    "governor": GOVERNORS,
    "technology": NETWORKS,
    "availability": Patterns(),
}
"""By the key under which a topology names a plug-in."""

Where = Callable[[str], str]
"""`where("lr")` is the place of an option, `where("")` that of the plug-in."""


def nowhere(option: str) -> str:
    """The place of options that come from no file."""
    del option
    return ""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: as in a file.
        type: what it takes, in words.
        default: as a file would say it; None if it must be given.
        doc: what it means, from the plug-in's docstring.
    """

    name: str
    type: str
    default: object
    doc: str


@dataclass(frozen=True, slots=True)
class _Type:
    """How values of a type are described, read from a file, and written back."""

    words: str
    read: Callable[[object], object]
    write: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: _Type
    default: object

    def read(self, value: object) -> object:
        return inf if value == "none" and self.default == inf else self.type.read(value)

    def write(self, value: Any) -> object:
        return "none" if value == inf else self.type.write(value)


def accepts(plugin: Callable[..., Any]) -> set[str]:
    """Names of its options."""
    return {field.name for field in _fields(plugin)}


def describe(plugin: Callable[..., Any]) -> list[Option]:
    """Its options in order of declaration."""
    docs = attribute_docs(plugin)
    return [
        Option(
            field.name,
            field.type.words,
            None if field.default is MISSING else field.write(field.default),
            docs.get(field.name, ""),
        )
        for field in _fields(plugin)
    ]


def arguments(
    plugin: Callable[..., Any],
    options: Mapping[str, Any],
    *,
    where: Where = nowhere,
    key: str = "",
) -> dict[str, Any]:
    """Keyword arguments for the plug-in, in SI units; options left out keep their default.

    Args:
        plugin: class or factory.
        options: as in a file, without the name.
        where: place of an option, for messages.
        key: path of the plug-in in the file, for messages.

    Raises:
        SpecError: an option that it does not have, a value of another type, or a missing one.
    """
    known = {field.name: field for field in _fields(plugin)}
    for name in options:
        if name not in known:
            raise SpecError(
                f"no such option.{did_you_mean(name, known)}",
                where=where(name),
                key=_join(key, name),
                remedy=f"Options here: {', '.join(known) or 'none'}.",
            )
    for field in known.values():
        if field.default is MISSING and field.name not in options:
            raise SpecError(
                "missing.",
                where=where(""),
                key=_join(key, field.name),
                remedy=f"Add `{field.name}:` ({field.type.words}).",
            )
    read: dict[str, Any] = {}
    for name, value in options.items():
        try:
            read[name] = known[name].read(value)
        except SpecError as error:
            raise SpecError(
                error.what, where=where(name), key=_join(key, name), remedy=error.remedy
            ) from None
    return read


def make(
    plugin: Callable[..., Any],
    options: Mapping[str, Any],
    *args: Any,
    where: Where = nowhere,
    key: str = "",
) -> Any:
    """The plug-in with its options; `args` go to a factory before them.

    Raises:
        SpecError: as `arguments`, or the plug-in refuses a value (it raises ValueError or
            SpecError; the message then gets the place).
    """
    given = arguments(plugin, options, where=where, key=key)
    try:
        return plugin(*args, **given)
    except (SpecError, ValueError) as error:
        if isinstance(error, SpecError) and error.where:
            raise
        what = error.what if isinstance(error, SpecError) else str(error)
        remedy = error.remedy if isinstance(error, SpecError) else ""
        raise SpecError(
            what, where=where(""), key=key, remedy=remedy or "Change its options."
        ) from error


def resolved(
    plugin: Callable[..., Any],
    options: Mapping[str, Any],
    *,
    where: Where = nowhere,
    key: str = "",
) -> dict[str, Any]:
    """All its options as a file would say them, defaults included, in one canonical spelling.

    Raises:
        SpecError: as `arguments`; here also where a required option is missing.
    """
    given = arguments(plugin, options, where=where, key=key)
    return {
        field.name: field.write(given.get(field.name, field.default)) for field in _fields(plugin)
    }


def whole(value: object) -> object:
    """A whole number from `1e6` too; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


# --- what a plug-in declares ----------------------------------------------------------------------


@lru_cache(maxsize=256)
def _fields(plugin: Callable[..., Any]) -> tuple[_Field, ...]:
    declared: list[tuple[str, object, object]] = []
    if is_dataclass(cast(object, plugin)):
        for field in fields(cast(Any, plugin)):
            made = field.default_factory
            default = field.default if made is MISSING else made()
            if field.init:
                declared.append((field.name, field.type, default))
    else:
        for parameter in inspect.signature(plugin).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                empty = parameter.default is parameter.empty
                default = MISSING if empty else parameter.default
                declared.append((parameter.name, parameter.annotation, default))
    return tuple(
        _Field(name, _annotated(plugin, name, annotation), default)
        for name, annotation, default in declared
    )


def _annotated(plugin: Callable[..., Any], name: str, annotation: object) -> _Type:
    where = f"{plugin.__module__}.{plugin.__qualname__}: option {name}"
    if not isinstance(annotation, str):
        raise HetsimError(
            f"{where}: options are read by the text of their annotation\n"
            "    Begin the module with `from __future__ import annotations`."
        )
    classes = plugin.__mro__ if isinstance(plugin, type) else (plugin,)
    names: dict[str, Any] = {}
    for owner in reversed(classes):
        names.update(vars(sys.modules[owner.__module__]))
    try:
        return _type(ast.parse(annotation, mode="eval").body, names)
    except (SyntaxError, LookupError):
        raise HetsimError(
            f"{where}: no rule to read {annotation} from a file\n"
            "    Use the types listed in hetsim/spec/options.py."
        ) from None


def attribute_docs(plugin: Callable[..., Any]) -> dict[str, str]:
    """Texts of the `Attributes:` or `Args:` sections, the base classes' first."""
    classes = reversed(plugin.__mro__) if isinstance(plugin, type) else (plugin,)
    docs: dict[str, str] = {}
    for owner in classes:
        text = inspect.cleandoc(owner.__doc__ or "")
        section = re.search(r"^(?:Attributes|Args):\n((?:[ ]{4}.*\n?|\n)+)", text, re.MULTILINE)
        entries = re.findall(
            r"^ {4}(\w[\w, ]*):((?:.|\n {8})*)", section.group(1) if section else "", re.MULTILINE
        )
        for names, words in entries:
            for name in names.split(","):
                docs[name.strip()] = " ".join(words.split())
    return docs


# --- types ----------------------------------------------------------------------------------------

_QUANTITIES: dict[str, units.Dimension] = {
    "Seconds": "time",
    "Joules": "energy",
    "Watts": "power",
    "Bytes": "size",
    "Rate": "rate",
    "Hertz": "frequency",
    "Celsius": "temperature",
}


def _type(node: ast.expr, names: Mapping[str, Any]) -> _Type:
    """The type an annotation stands for; LookupError if there is no rule for it."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in _QUANTITIES:
            return _quantity(_QUANTITIES[name])
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in _PLAIN:
            return _PLAIN[name]
        case ast.Constant(value=None):
            return _NONE
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either(_type(left, names), _type(right, names))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[item, last])) if (
            isinstance(last, ast.Constant) and last.value is ...
        ):
            return _many(_type(item, names))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=items)):
            return _several([_type(item, names) for item in items])
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inside):
            parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return _one_of(tuple(ast.literal_eval(part) for part in parts))
        case ast.Name(id=name) if get_origin(names[name]) is Literal:
            return _one_of(get_args(names[name]))
        case _:
            raise LookupError


def _quantity(dimension: units.Dimension) -> _Type:
    return _Type(
        f'{dimension}, such as "{units.example(dimension)}"',
        lambda value: units.parse(value, dimension),
        lambda value: units.format(value, dimension),
    )


def _checked(words: str, example: str, test: Callable[[object], bool]) -> _Type:
    def read(value: object) -> object:
        value = whole(value) if words == "a whole number" else value
        if not test(value):
            raise _wrong(words, value, f"Write {words} such as {example}.")
        return value

    return _Type(words, read, lambda value: value)


def _number() -> _Type:
    def read(value: object) -> object:
        number = not isinstance(value, bool) and isinstance(value, int | float)
        if not number or not abs(value) <= sys.float_info.max:
            raise _wrong("a number", value, "Write a number without a unit such as 0.05.")
        return float(value)

    return _Type("a number", read, lambda value: float(value))


def _either(left: _Type, right: _Type) -> _Type:
    def read(value: object) -> object:
        if right is _NONE and value not in ("none", None):
            return left.read(value)
        try:
            return right.read(value)
        except SpecError:
            return left.read(value)

    def write(value: Any) -> object:
        if value is None:
            return "none"
        try:
            written = left.write(value)
            return written if left.read(written) == value else right.write(value)
        except (SpecError, TypeError, ValueError):
            return right.write(value)

    return _Type(f"{left.words} or {right.words}", read, write)


def _many(item: _Type) -> _Type:
    def read(value: object) -> object:
        return tuple(item.read(one) for one in _list(value, "a list"))

    return _Type(f"a list of: {item.words}", read, lambda value: [item.write(one) for one in value])


def _several(items: list[_Type]) -> _Type:
    words = f"a list of {len(items)}: {'; '.join(item.words for item in items)}"

    def read(value: object) -> object:
        given = _list(value, f"a list of {len(items)}")
        if len(given) != len(items):
            raise SpecError(
                f"expected {len(items)} items, got {len(given)}.", remedy=f"Write {words}."
            )
        return tuple(item.read(one) for item, one in zip(items, given, strict=True))

    def write(value: Any) -> object:
        return [item.write(one) for item, one in zip(items, value, strict=True)]

    return _Type(words, read, write)


def _one_of(choices: tuple[object, ...]) -> _Type:
    known = [str(choice) for choice in choices]
    words = f"one of {', '.join(known)}"

    def read(value: object) -> object:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        hint = did_you_mean(str(value), known)
        raise SpecError(f"{in_words(value)} is not allowed.{hint}", remedy=f"Write {words}.")

    return _Type(words, read, lambda value: value)


def _list(value: object, words: str) -> list[object]:
    items = as_list(value)
    if items is None:
        raise _wrong(words, value, "Write a list such as [1, 2].")
    return items


def _none(value: object) -> None:
    if value not in ("none", None):
        raise _wrong("none", value, "Write none.")


def _wrong(words: str, value: object, remedy: str) -> SpecError:
    return SpecError(f"expected {words}, got {in_words(value)}.", remedy=remedy)


_NONE = _Type("none", _none, lambda value: "none")
_PLAIN: dict[str, _Type] = {
    "int": _checked(
        "a whole number", "10", lambda v: isinstance(v, int) and not isinstance(v, bool)
    ),
    "bool": _checked("true or false", "true", lambda v: isinstance(v, bool)),
    "str": _checked("text", '"abc"', lambda v: isinstance(v, str)),
    "float": _number(),
    "Flops": _number(),
    "Cycles": _number(),
    "Fraction": _Type(
        "a number between 0 and 1, or a percentage",
        lambda value: units.parse(value, "fraction"),
        lambda value: float(value),
    ),
}
