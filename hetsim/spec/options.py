"""Options of a plug-in: what it accepts, and its arguments from what a user wrote.

The options are the fields of the plug-in's frozen dataclass, or the keyword-only parameters of its
factory function. How one is read follows from the text of its annotation
(`hetsim.spec.annotation`); a plug-in's module therefore begins with
`from __future__ import annotations`. Where the default of a number is infinite, `none` stands for
it ("no limit"). What a type cannot say ("at least one") the plug-in checks itself, in
`__post_init__`: a ValueError there becomes a message with file and line.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from math import inf
from typing import Any, cast

from hetsim.core.errors import HetsimError, SpecError, did_you_mean
from hetsim.core.registry import (
    AVAILABILITIES,
    BANDWIDTHS,
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
from hetsim.spec.annotation import Type, type_of

REGISTRIES: dict[str, Registry] = {
    "method": METHODS,
    "model": MODELS,
    "data": DATA,
    "partition": PARTITIONS,
    "pace": PACES,
    "selection": SELECTIONS,
    "governor": GOVERNORS,
    "technology": NETWORKS,
    "availability": AVAILABILITIES,
    "trace": BANDWIDTHS,
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
class _Field:
    name: str
    type: Type
    default: object

    def read(self, value: object) -> object:
        return inf if value == "none" and self.default == inf else self.type.read(value)

    @property
    def form(self) -> dict[str, Any]:
        """JSON Schema of its values, with the default."""
        if self.default is MISSING:
            return dict(self.type.form)
        unlimited = self.default == inf
        form = {"anyOf": [self.type.form, {"const": "none"}]} if unlimited else self.type.form
        return {**form, "default": self.write(self.default)}

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


def form(plugin: Callable[..., Any]) -> dict[str, Any]:
    """JSON Schema of a mapping that holds its options and nothing else."""
    docs, declared = attribute_docs(plugin), _fields(plugin)
    return {
        "type": "object",
        "properties": {
            field.name: {"description": docs.get(field.name, ""), **field.form}
            for field in declared
        },
        "required": [field.name for field in declared if field.default is MISSING],
        "additionalProperties": False,
    }


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
            SpecError; the message then gets the place, that of the option that it begins with if
            one was given).
    """
    given = arguments(plugin, options, where=where, key=key)
    try:
        return plugin(*args, **given)
    except (SpecError, ValueError) as error:
        if isinstance(error, SpecError) and error.where:
            raise
        what = error.what if isinstance(error, SpecError) else str(error)
        remedy = error.remedy if isinstance(error, SpecError) else ""
        first = what.partition(" ")[0].rstrip(":")
        option = first if first in given else ""
        raise SpecError(
            what,
            where=where(option),
            key=_join(key, option) if option else key,
            remedy=remedy or _usual(plugin),
        ) from error


def _usual(plugin: Callable[..., Any]) -> str:
    """What options are where nobody says anything, as a remedy."""
    known = {field.name: field for field in _fields(plugin) if field.default is not MISSING}
    words = [f"{name}: {field.write(field.default)}" for name, field in known.items()]
    return f"Its defaults are: {', '.join(words) or 'none'}."


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


def _annotated(plugin: Callable[..., Any], name: str, annotation: object) -> Type:
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
        return type_of(annotation, names)
    except LookupError:
        raise HetsimError(
            f"{where}: no rule to read {annotation} from a file\n"
            "    Use the types listed in hetsim/spec/annotation.py."
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
