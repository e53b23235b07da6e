"""Everything hetsim raises on purpose.

A message says where, what is wrong and what to do about it. `Dropped` is not an error: it is how
simulated misfortune (an empty battery, a missed deadline) reaches a client script.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from hetsim.core.quantities import Bytes, Fraction

Cause = Literal["battery", "memory", "deadline", "churn", "surplus"]
CAUSES: tuple[Cause, ...] = ("battery", "memory", "deadline", "churn", "surplus")
"""Why a client that was asked delivers nothing; surplus: others had delivered enough by then."""


class HetsimError(Exception):
    """Base of every error that hetsim raises on purpose; it survives the way from a worker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args), self.__dict__


class SpecError(HetsimError):
    """The user's input is wrong; the message names place, key, fault and remedy."""

    def __init__(self, what: str, *, where: str = "", key: str = "", remedy: str = "") -> None:
        self.what, self.where, self.key, self.remedy = what, where, key, remedy
        head = ": ".join(part for part in (where, key, what) if part)
        super().__init__(f"{head}\n    {remedy}" if remedy else head)


class UnknownName(SpecError):
    """A name that no plug-in of this kind has."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, where: str = "", key: str = ""
    ) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(
            f'no {kind} "{name}".{did_you_mean(name, self.known)}',
            where=where,
            key=key,
            remedy=f"Known: {', '.join(self.known) or 'none'}.",
        )


class OutOfMemory(HetsimError):
    """A job, or a value to hold, does not fit into a device."""

    def __init__(self, node: str, needed: Bytes, free: Bytes, what: str = "the job") -> None:
        self.node, self.needed, self.free = node, needed, free
        super().__init__(f"{node}: {what} needs {si(needed)}B and {si(free)}B are free")


class Interrupted(HetsimError):
    """The user stopped the run; what it had computed is kept."""


class Stuck(HetsimError):
    """This host cannot go on (a full disk, workers that die); the run can, once that is mended."""


class NeedsLearning(HetsimError):
    """A script observes a learned value, but this run computes none."""


class CausalityError(HetsimError):
    """A node used a value that never reached it."""


class Dropped(HetsimError):
    """Thrown into a client script whose device or time ran out.

    Attributes:
        cause: one of `CAUSES`.
        progress: done share of the request that was cut short.
    """

    def __init__(self, cause: Cause, progress: Fraction = 0.0, detail: str = "") -> None:
        self.cause: Cause = cause
        self.progress, self.detail = progress, detail
        super().__init__(detail or cause)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint such as ' Did you mean "fedstitch"?', or nothing.

    >>> did_you_mean("fedstich", ["fedavg", "fedstitch"])
    ' Did you mean "fedstitch"?'
    """
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""


def si(value: float) -> str:
    """A number with three digits and an SI prefix, ready for its unit.

    >>> si(1_234_567) + "B"
    '1.23 MB'
    """
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:  # from here on three digits round up to the next prefix
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "


def _restore(kind: type[HetsimError], args: tuple[Any, ...]) -> HetsimError:
    """An unpickled error: its fields follow, its constructor has had its say already."""
    error = kind.__new__(kind)
    error.args = args
    return error
