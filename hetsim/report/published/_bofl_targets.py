"""What of BoFL is to be reproduced, and whether it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from hetsim.report.numbers import NONE, significant
from hetsim.report.published import _target
from hetsim.report.published._bofl_published import (
    OBSERVED,
    PUBLISHED,
    RATIOS,
    WITHIN,
    WORDS,
    Cell,
    Published,
)
from hetsim.report.published._target import NOT_RUN
from hetsim.report.published.base import Row, Table, Tables

_JUDGED = (2.0, 4.0)
"""Ratios whose saving is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(_target.Target):
    """What is to be reproduced.

    Attributes:
        source: "stored" by the authors or "derived" from their sweeps.
        known: the number, where there is one only.
        difference: to what is known, the largest of several.
    """

    source: str = NONE
    known: str = NONE
    difference: str = NONE


def targets(tables: Tables) -> list[Target]:
    """All of them."""
    runs, facts = tables.get("bofl_runs", ()), tables.get("bofl_facts", ())
    return [
        _deadlines(runs),
        _performant(runs),
        _bound(runs, "oracle", "Oracle, joules", "derived", 5e-6, lambda cell: cell.bound),
        _bound(runs, "oracle", "Oracle, joules", "stored", 3e-5, lambda cell: cell.oracle),
        _fronts(facts),
        *_first(runs),
        *_savings(runs),
        _never_above(runs),
        _misses(runs),
        _short(runs),
        _bound(
            runs, "best_single", "one setting a round, joules", "derived", 5e-6,
            lambda cell: cell.single,
        ),
        _observed(runs),
    ]  # fmt: skip


def of(table: Table, policy: str, sweep: str = "", ratio: float = 0.0) -> list[Row]:
    """Runs of a policy, of a sweep and at a ratio where these are given."""
    return [
        row for row in table
        if row["policy"] == policy
        and sweep in ("", row["sweep"])
        and ratio in (0.0, row.get("ratio"))
    ]  # fmt: skip


def _worst(
    what: str,
    source: str,
    pairs: Sequence[tuple[float, float]],
    within: float,
    known: str = NONE,
) -> Target:
    """Ours and theirs, each to be met within a share."""
    off = [abs(ours / theirs - 1.0) for ours, theirs in pairs]
    return Target(
        what=what,
        source=source,
        known=known,
        found=f"{sum(each <= within for each in off)} of {len(off)}" if off else NOT_RUN,
        difference=f"at most {max(off):.1e}" if off else NONE,
        wanted=f"± {within:g}",
        verdict=max(off) <= within if off else None,
    )


def _deadlines(runs: Table) -> Target:
    pairs = [
        (row["deadlines_s"], seconds)
        for sweep, known in PUBLISHED.items()
        for ratio, seconds in zip(_JUDGED, known.deadlines, strict=True)
        for row in of(runs, "performant", sweep, ratio)
    ]
    return _worst("sum of the deadlines, ratios 2 and 4", "derived", pairs, 5e-6)


def _performant(runs: Table) -> Target:
    pairs = [
        (row["joules"], known.performant)
        for sweep, known in PUBLISHED.items()
        for row in of(runs, "performant", sweep)
    ]
    return _worst("Performant, joules", "stored", pairs, 2e-7)


def _bound(
    runs: Table, policy: str, what: str, source: str, within: float, known: Callable[[Cell], float]
) -> Target:
    pairs = [
        (row["joules"], known(PUBLISHED[row["sweep"]].cells[row["ratio"]]))
        for row in of(runs, policy)
        if _is_known(row)
    ]
    return _worst(what, source, pairs, within)


def _is_known(row: Row) -> bool:
    return row["sweep"] in PUBLISHED and row["ratio"] in RATIOS


def _fronts(facts: Table) -> Target:
    known = {row["sweep"]: row for row in facts if row["sweep"] in PUBLISHED}
    right = [
        (row["front"], row["hull"]) == (PUBLISHED[sweep].front, PUBLISHED[sweep].hull)
        for sweep, row in known.items()
    ]
    return Target(
        what="settings on the front / its hull",
        source="derived",
        known=", ".join(f"{PUBLISHED[sweep].front}/{PUBLISHED[sweep].hull}" for sweep in known)
        or NONE,
        found=", ".join(f"{row['front']}/{row['hull']}" for row in known.values()) or NOT_RUN,
        wanted="exact",
        verdict=all(right) if right else None,
    )


def _first(runs: Table) -> Iterator[Target]:
    counts: list[bool] = []
    pairs: list[tuple[float, float]] = []
    for sweep, known in PUBLISHED.items():
        for ratio, (words, joules) in known.first.items():
            for row in of(runs, "bofl", sweep, ratio):
                counts.append(str(row["first_counts"]) == words)
                pairs.append((row["first_j"], joules))
    yield Target(
        what="phase 1, settings known after each round",
        source="derived",
        found=f"{sum(counts)} of {len(counts)} as theirs" if counts else NOT_RUN,
        wanted="exact",
        verdict=all(counts) if counts else None,
    )
    yield _worst("phase 1, joules", "derived", pairs, 1e-4)


def _savings(runs: Table) -> Iterator[Target]:
    for sweep, known in PUBLISHED.items():
        for ratio in _JUDGED:
            yield _saving(runs, sweep, ratio, known)


def _saving(runs: Table, sweep: str, ratio: float, known: Published) -> Target:
    values = [row["saving_percent"] for row in of(runs, "bofl", sweep, ratio)]
    within, theirs = WITHIN[sweep.partition("_")[0]], known.saving(ratio)
    off = mean(values) - theirs if values else None
    return Target(
        what=f"BoFL's saving, {WORDS[sweep]}, ratio {ratio:g}, %",
        source="stored",
        known=f"{theirs:.2f}",
        found=NOT_RUN if off is None else spread(values),
        difference=NONE if off is None else f"{off:+.2f} points",
        wanted=f"± {within:g} points",
        verdict=None if off is None else abs(off) <= within,
    )


def spread(values: Sequence[float], digits: int = 2) -> str:
    """A mean, with least and highest where they differ."""
    low, high = (f"{each:.{digits}f}" for each in (min(values), max(values)))
    return f"{mean(values):.{digits}f}" + ("" if low == high else f" ({low} to {high})")


def _never_above(runs: Table) -> Target:
    regrets = [row["regret_percent"] for row in of(runs, "bofl")]
    return Target(
        what="BoFL saves no more than Oracle",
        found=f"least regret {significant(min(regrets))} %" if regrets else NOT_RUN,
        wanted="never",
        verdict=min(regrets) >= 0.0 if regrets else None,
    )


def _misses(runs: Table) -> Target:
    rows = of(runs, "bofl")
    missed, played = (sum(row[name] for row in rows) for name in ("misses", "met"))
    return Target(
        what="deadlines missed by BoFL",
        source="stored",
        known="0",
        found=f"{missed} of {missed + played:,}" if rows else NOT_RUN,
        wanted="exact",
        verdict=not missed if rows else None,
    )


def _short(runs: Table) -> Target:
    rows = [row for row in of(runs, "bofl") if row["short_rounds"]]
    off = max((row["short_off_j"] for row in rows), default=0.0)
    return Target(
        what="rounds shorter than T_min + τ while exploring: all at the highest clocks",
        source="derived",
        found=f"{sum(row['short_rounds'] for row in rows)} rounds" if rows else NOT_RUN,
        difference=f"at most {off:.1e} J" if rows else NONE,
        wanted="exact",
        verdict=off < 1e-6 if rows else None,
    )


def _observed(runs: Table) -> Target:
    boards: dict[str, list[int]] = {}
    for row in of(runs, "bofl"):
        if _is_known(row):
            boards.setdefault(row["sweep"].partition("_")[0], []).append(row["observed"])
    ranges = {board: (min(each), max(each)) for board, each in boards.items()}
    return Target(
        what="settings observed when exploring ends",
        source="derived",
        known=", ".join(f"{board.upper()} {a} to {b}" for board, (a, b) in OBSERVED.items()),
        found=", ".join(f"{board.upper()} {a} to {b}" for board, (a, b) in ranges.items())
        or NOT_RUN,
        wanted="in range",
        verdict=all(
            OBSERVED[board][0] <= a and b <= OBSERVED[board][1] for board, (a, b) in ranges.items()
        )
        if ranges
        else None,
    )
