"""What a page wants to reach, whether it does, and what is said of all of it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetsim.report.numbers import NONE

NOT_RUN = "not run"
_WORDS = {True: "met", False: "**not met**"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A row of a table of targets; pages add what else they know of each.

    Attributes:
        what: is to be reached.
        found: ours.
        wanted: how near, or the bound.
        verdict: whether it is reached; None if it was not run, or nothing is wanted.
        cause: why it is not, in words without a full stop.
    """

    what: str
    found: str = NOT_RUN
    wanted: str
    verdict: bool | None = None
    cause: str = ""

    @property
    def word(self) -> str:
        """The verdict as it is printed.

        >>> Target(what="", wanted="").word, Target(what="", wanted="", found="1 s").word
        ('not run', '–')
        """
        unknown = NOT_RUN if self.found == NOT_RUN else NONE
        return unknown if self.verdict is None else _WORDS[self.verdict]


def causes(found: Sequence[Target]) -> tuple[str, ...]:
    """Why targets are not met, as far as it is known; nothing if there is nothing to tell."""
    told = [
        f"- {each.what}: {each.cause}." for each in found if each.verdict is False and each.cause
    ]
    return ("Causes:\n\n" + "\n".join(told),) if told else ()


def tally(found: Sequence[Target], unknown: str = NOT_RUN) -> str:
    """How many are met, which are not, and how many are unknown, in words."""
    met, absent = (sum(each.verdict is verdict for each in found) for verdict in (True, None))
    missed = [each.what for each in found if each.verdict is False]
    told = f"{met} met, {len(missed)} not met, {absent} {unknown}."
    return f"{told} Not met: {'; '.join(missed)}." if missed else told
