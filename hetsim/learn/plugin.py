"""Calling a plug-in factory with options that came from a user's file."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.core.ref import Arg
from hetsim.core.registry import Registry

Options = tuple[tuple[str, Arg], ...]
"""Keyword arguments of a plug-in, sorted by name, lists turned into tuples."""


def options(raw: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> Options:
    """Options in their one canonical form.

    >>> options({"width": 16, "hidden": [64]})
    (('hidden', (64,)), ('width', 16))
    """
    return tuple(sorted((name, _frozen(value)) for name, value in dict(raw).items()))


def make(registry: Registry, name: str, given: Options, *args: Any) -> Any:
    """What the plug-in called `name` makes of `args` and the given options.

    Raises:
        UnknownName: no such plug-in.
        SpecError: an option that the plug-in does not have, or a value it refuses.
    """
    factory = registry.load(name)
    known = [
        parameter.name
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    for option, _ in given:
        if option not in known:
            raise SpecError(
                f'{registry.kind} "{name}" has no option "{option}".{did_you_mean(option, known)}',
                remedy=f"Its options: {', '.join(known) or 'none'}.",
            )
    return factory(*args, **dict(given))


def _frozen(value: Any) -> Arg:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
