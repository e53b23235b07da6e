"""How a value of a file is read by the annotation of the option it is for.

The *text* of the annotation decides, because the aliases of `hetsim.core.quantities` are all
`float` once they are evaluated:

    Seconds Joules Watts Bytes Rate Hertz Celsius JoulesPerByte
                                                    text with a unit
    Fraction                                        a number between 0 and 1, or a percentage
    int float bool str                              bare; Flops and Cycles are floats
    Literal[...]                                    one of its values
    tuple[X, ...] and tuple[X, Y]                   a list
    X | None                                        also `none`
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.spec import units
from hetsim.spec.load import as_list, in_words


@dataclass(frozen=True, slots=True)
class Type:
    """How values of a type are described, read from a file, and written back.

    Attributes:
        words: what it takes, for people.
        form: the same as JSON Schema, for editors.
        read: from what a file says.
        write: to what a file would say.
    """

    words: str
    form: Mapping[str, Any]
    read: Callable[[object], object]
    write: Callable[[Any], object]


def type_of(annotation: str, names: Mapping[str, Any]) -> Type:
    """The type that the text of an annotation stands for.

    Args:
        annotation: such as "Seconds | None".
        names: of the module it stands in, for aliases of `Literal[...]`.

    Raises:
        LookupError: there is no rule for it.
    """
    try:
        return _type(ast.parse(annotation, mode="eval").body, names)
    except SyntaxError:
        raise LookupError(annotation) from None


def whole(value: object) -> object:
    """A whole number from `1e6` too; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def quantity_form(dimension: units.Dimension) -> dict[str, Any]:
    """JSON Schema of a quantity: text with a unit; a fraction may be bare."""
    text = {"type": "string", "examples": [units.example(dimension)]}
    if dimension == "fraction":
        return {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, text]}
    return text


_QUANTITIES: dict[str, units.Dimension] = {
    "Seconds": "time",
    "Joules": "energy",
    "Watts": "power",
    "Bytes": "size",
    "Rate": "rate",
    "JoulesPerByte": "energy per size",
    "Hertz": "frequency",
    "Celsius": "temperature",
}


def _type(node: ast.expr, names: Mapping[str, Any]) -> Type:
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


def _quantity(dimension: units.Dimension) -> Type:
    return Type(
        f'{dimension}, such as "{units.example(dimension)}"',
        quantity_form(dimension),
        lambda value: units.parse(value, dimension),
        lambda value: units.format(value, dimension),
    )


def _checked(words: str, form: str, example: str, test: Callable[[object], bool]) -> Type:
    def read(value: object) -> object:
        value = whole(value) if words == "a whole number" else value
        if not test(value):
            raise _wrong(words, value, f"Write {words} such as {example}.")
        return value

    return Type(words, {"type": form}, read, lambda value: value)


def _number() -> Type:
    remedy = "Write a number without a unit such as 0.05."

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong("a number", value, remedy)
        if not abs(value) <= sys.float_info.max:
            raise _wrong("a finite number", value, remedy)
        return float(value)

    return Type("a number", {"type": "number"}, read, lambda value: float(value))


def _either(left: Type, right: Type) -> Type:
    words = f"{left.words} or {right.words}"

    def read(value: object) -> object:
        if right is _NONE and value not in ("none", None):
            return left.read(value)
        try:
            return right.read(value)
        except SpecError:
            if as_list(value) is not None and "items" in right.form and "items" not in left.form:
                raise
        try:
            return left.read(value)
        except SpecError as fault:
            if right is _NONE or "enum" not in right.form:
                raise
            hint = did_you_mean(str(value), [str(choice) for choice in right.form["enum"]])
            what = f"expected {words}, got {value!r}.{hint}"
            raise SpecError(what, remedy=f"Write {words}.") from fault

    def write(value: Any) -> object:
        if value is None:
            return "none"
        try:
            written = left.write(value)
            return written if left.read(written) == value else right.write(value)
        except (SpecError, TypeError, ValueError):
            return right.write(value)

    form = {"anyOf": [left.form, right.form]}
    return Type(words, form, read, write)


def _many(item: Type) -> Type:
    def read(value: object) -> object:
        return tuple(item.read(one) for one in _list(value, "a list"))

    def write(value: Any) -> object:
        return [item.write(one) for one in value]

    form = {"type": "array", "items": item.form}
    return Type(f"a list of: {item.words}", form, read, write)


def _several(items: list[Type]) -> Type:
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

    form = {
        "type": "array",
        "prefixItems": [item.form for item in items],
        "minItems": len(items),
        "maxItems": len(items),
    }
    return Type(words, form, read, write)


def _one_of(choices: tuple[object, ...]) -> Type:
    known = [str(choice) for choice in choices]
    words = f"one of {', '.join(known)}"

    def read(value: object) -> object:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        hint = did_you_mean(str(value), known)
        raise SpecError(f"{in_words(value)} is not allowed.{hint}", remedy=f"Write {words}.")

    return Type(words, {"enum": list(choices)}, read, lambda value: value)


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


_NONE = Type("none", {"const": "none"}, _none, lambda value: "none")
_PLAIN: dict[str, Type] = {
    "int": _checked(
        "a whole number", "integer", "10", lambda v: isinstance(v, int) and not isinstance(v, bool)
    ),
    "bool": _checked("true or false", "boolean", "true", lambda v: isinstance(v, bool)),
    "str": _checked("text", "string", '"abc"', lambda v: isinstance(v, str)),
    "float": _number(),
    "Flops": _number(),
    "Cycles": _number(),
    "Fraction": Type(
        "a number between 0 and 1, or a percentage",
        quantity_form("fraction"),
        lambda value: units.parse(value, "fraction"),
        lambda value: float(value),
    ),
}
