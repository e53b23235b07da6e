"""What was expected of FedStitch before the runs that are shown, and whether it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from hetsim.report.numbers import NONE, significant
from hetsim.report.published import _target
from hetsim.report.published._fedstitch_runs import (
    ACCOUNTS,
    ALL_SMALL,
    BLIND,
    EXCLUSIVE,
    LOOSE,
    MAX_CLOCKS,
    STITCHED,
    UNIFORM,
    WHOLE_POOL,
    Runs,
    all_above,
    distinct,
    less,
    saving,
    skew,
    speedup,
)
from hetsim.report.published._seeds import points, spread
from hetsim.report.published._target import NOT_RUN
from hetsim.report.published.base import Row, Table, Tables, appearing, known

_POINT = 0.01
_LOW_MEMORY, _HIGH_MEMORY = 0.60, 0.90
_JOULES, _SPEED, _FEWER, _IN_TIME, _UPLINK = 0.70, 3.0, 0.25, 0.95, 0.01
FULL, WHOLE_BATCH = "full training", "FedStitch, a whole batch forward at once"
REFERENCE, REFERENCE_BATCH = "resnet18", 32
FEEDBACK, PLANNED = "deadline_feedback", "planned once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(_target.Target):
    """What is expected.

    Attributes:
        number: in the list of ten.
        article: the number that it states.
    """

    number: int
    article: str = NONE


def targets(tables: Tables) -> list[Target]:
    """All of them."""

    def table(name: str) -> Table:
        return tables.get(name, ())

    runs = Runs(table("accuracy"), table("ends"), table("goals"))
    return [
        _memory(table("memory")),
        *_energy(runs),
        _speed(runs),
        *_accuracy(runs),
        *_votes(runs),
        _pool(runs),
        *_clocks(runs),
        _disturbed(table("disturbed")),
        _split(runs),
        *_uplink(table("totals")),
    ]


# --- one to three: memory, joules, seconds --------------------------------------------------------


def peaks(table: Table, model: str, batch: int) -> dict[str, Row]:
    """Least and most demanding way of each method with a model."""
    return {row["way"]: row for row in table if (row["model"], row["batch"]) == (model, batch)}


def _memory(table: Table) -> Target:
    found = peaks(table, REFERENCE, REFERENCE_BATCH)
    share, whole = (
        1.0 - found[way]["peak_b"] / found[FULL]["peak_b"] if {way, FULL} <= found.keys() else None
        for way in (STITCHED, WHOLE_BATCH)
    )
    at_once = "" if whole is None else f"; a whole batch forward at once {-100 * whole:+.1f} %"
    return Target(
        number=1,
        what="peak memory of a client against full training, ResNet-18 in batches of 32",
        article="up to -79.5 %",
        found=NOT_RUN if share is None else f"{-100 * share:+.1f} %{at_once}",
        wanted="60 to 90 % less",
        verdict=None if share is None else _LOW_MEMORY <= share <= _HIGH_MEMORY,
    )


def _energy(runs: Runs) -> Iterator[Target]:
    pairs = runs.pairs(BLIND)
    found = {words: saving(pairs, column) for words, column in ACCOUNTS.items()}
    least = min(found["total"], default=None)
    yield Target(
        number=2,
        what="joules of all clients against memory-blind FedAvg, to the same accuracy",
        article="up to -89.41 %",
        found="; ".join(
            f"{words} {spread(shares, 100.0)} % less" for words, shares in found.items()
        )
        if pairs
        else NOT_RUN,
        wanted="at least 70 % less (total), every pair",
        verdict=None if least is None else least >= _JOULES,
        cause=_why_so_much(runs, pairs),
    )
    for words, column in ACCOUNTS.items():
        yield _order(runs, words, column)


def _why_so_much(runs: Runs, pairs: Sequence[Row]) -> str:
    """What FedStitch's joules and seconds to the goal are made of, in words."""
    ours = [row for alpha in runs.alphas for row in runs.ends(alpha, STITCHED).values()]
    if not (ours and pairs):
        return ""
    idle = mean(row["device_idle_j"] / row["device_j"] for row in ours)
    return (
        f"the baseline is there after {spread(known(pairs, 'other_rounds'))} rounds, FedStitch "
        f"after {spread(known(pairs, 'stitched_rounds'))}; {100 * idle:.0f} % of what FedStitch "
        "draws is idle power of all boards, as long as it runs, and each client is sent a pool of "
        f"{significant(mean(known(ours, 'pool_b')) / 1e6)} MB first"
    )


def _order(runs: Runs, words: str, column: str) -> Target:
    """FedStitch below FedStitch at the highest clocks below each baseline."""
    wrong = [
        name
        for name in runs.baselines
        for paced, fast in _twice(runs, name)
        if not paced[f"stitched_{column}"] < fast[f"stitched_{column}"] < fast[f"other_{column}"]
    ]
    seen = sum(len(_twice(runs, name)) for name in runs.baselines)
    told = ", ".join(f"{name} ({wrong.count(name)})" for name in dict.fromkeys(wrong))
    return Target(
        number=2,
        what=f"FedStitch < FedStitch without DVFS < baselines, joules of all clients ({words})",
        found=f"in {seen - len(wrong)} of {seen} pairs" if seen else NOT_RUN,
        wanted="in all",
        verdict=not wrong if seen else None,
        cause=f"not so beside {told}" if wrong else "",
    )


def _twice(runs: Runs, name: str) -> list[tuple[Row, Row]]:
    """Pairs with a baseline in the tight budgets or without any, at paced and highest clocks."""
    fast = {(row["alpha"], row["seed"]): row for row in runs.pairs(name, stitched=MAX_CLOCKS)}
    return [
        (row, fast[row["alpha"], row["seed"]])
        for row in runs.pairs(name)
        if (row["alpha"], row["seed"]) in fast
    ]


def _speed(runs: Runs) -> Target:
    pairs = runs.pairs(BLIND)
    found, whole = speedup(pairs), speedup(pairs, "whole")
    return Target(
        number=3,
        what="time to the network against memory-blind FedAvg, to the same accuracy",
        article="up to 8.12 times",
        found=(
            f"{spread(found)} times as fast; to its last block {spread(whole)}"
            if found
            else NOT_RUN
        ),
        wanted="more than 3 times, every pair",
        verdict=all_above(found, _SPEED),
        cause=_why_so_much(runs, pairs),
    )


# --- four to six: accuracy, votes, pool -----------------------------------------------------------


def _accuracy(runs: Runs) -> Iterator[Target]:
    most = [
        each
        for name in (EXCLUSIVE, ALL_SMALL)
        for alpha in runs.alphas
        for each in runs.gain(alpha, name).values()
    ]
    for name in (EXCLUSIVE, ALL_SMALL):
        for alpha in runs.alphas:
            yield _sign(
                f"accuracy above {name}, tight memory, {skew(alpha)}",
                list(runs.gain(alpha, name).values()),
                article=f"up to +20.93 (ours at most {100 * max(most):+.1f})" if most else "",
                cause=_accuracies(runs, alpha, name),
            )
        gains = [runs.gain(alpha, name) for alpha in runs.alphas]
        yield _sign(
            f"the gap to {name} grows with the skew of labels",
            less(gains[0], gains[-1]) if len(gains) > 1 else [],
        )
        yield _sign(
            f"the gap to {name} grows as memory shrinks",
            [
                each
                for alpha in runs.alphas
                for each in less(runs.gain(alpha, name), runs.gain(alpha, name, LOOSE))
            ],
        )


def _accuracies(runs: Runs, alpha: float, name: str) -> str:
    ours = spread(known(runs.ends(alpha, STITCHED).values(), "final"), 100.0)
    return f"FedStitch ends at {ours} %, {name} has at best " + (
        f"{spread(known(runs.ends(alpha, name).values(), 'best'), 100.0)} %"
    )


def _sign(what: str, differences: Sequence[float], article: str = "", cause: str = "") -> Target:
    return Target(
        number=4,
        what=what,
        article=article or NONE,
        found=f"{points(differences)} points" if differences else NOT_RUN,
        wanted="positive in every seed",
        verdict=all_above(differences),
        cause=cause,
    )


def _votes(runs: Runs) -> Iterator[Target]:
    for alpha in distinct((row for row in runs.table if row["variant"] == UNIFORM), "alpha") or [
        0.1
    ]:
        found = runs.ablated(alpha, UNIFORM, lambda row: row["final"])
        iid = alpha >= 100.0
        yield Target(
            number=5,
            what=f"learned weights against uniform votes, {skew(alpha)}",
            article="no loss claimed" if iid else "better, by how much unknown",
            found=f"mean {100 * mean(found):+.2f} ({points(found)}) points" if found else NOT_RUN,
            wanted="mean not below zero",
            verdict=mean(found) >= 0.0 if found else None,
            cause=f"the same network came out in {_same(runs, alpha)} of {len(found)} seeds",
        )


def _same(runs: Runs, alpha: float) -> int:
    """Seeds in which other votes led to the same network."""
    ours, other = runs.ends(alpha, STITCHED), runs.ends(alpha, STITCHED, variant=UNIFORM)
    return sum(
        ours[seed]["stitched"] == other[seed]["stitched"] for seed in ours.keys() & other.keys()
    )


def _pool(runs: Runs) -> Target:
    fewer: list[float] = []
    lost: list[float] = []
    for alpha in runs.alphas:
        pruned, whole = (
            runs.ends(alpha, STITCHED), runs.ends(alpha, STITCHED, variant=WHOLE_POOL)
        )  # fmt: skip
        for seed in sorted(pruned.keys() & whole.keys()):
            fewer.append(1.0 - pruned[seed]["scored"] / whole[seed]["scored"])
            lost.append(whole[seed]["final"] - pruned[seed]["final"])
    return Target(
        number=6,
        what="the search-space optimizer scores fewer blocks and loses little",
        article="claimed, no number",
        found=(
            f"{spread(fewer, 100.0)} % fewer, {100 * mean(lost):+.2f} points lost in the mean"
            if fewer
            else NOT_RUN
        ),
        wanted="at least 25 % fewer, at most one point lost",
        verdict=min(fewer) >= _FEWER and mean(lost) <= _POINT if fewer else None,
    )


# --- seven to ten: clocks, power, uplink ----------------------------------------------------------


def _clocks(runs: Runs) -> Iterator[Target]:
    both = [each for alpha in runs.alphas for each in _both(runs, alpha)]
    for words, column in ACCOUNTS.items():
        saved = [1.0 - paced[column] / fast[column] for paced, fast in both]
        yield Target(
            number=7,
            what=f"paced clocks against the highest, joules of all clients ({words})",
            article="claimed, no number",
            found=f"saving {spread(saved, 100.0)} %" if saved else NOT_RUN,
            wanted="less in every run",
            verdict=all_above(saved),
            cause=_longer(both),
        )
    rows = [
        row for alpha in runs.alphas for row in runs.ends(alpha, STITCHED).values() if row["asked"]
    ]
    yield Target(
        number=7,
        what="paced clocks keep the server's deadlines",
        found=(
            f"{_kept(rows)} %, at the highest clocks {_kept([fast for _, fast in both])} %"
            if rows and both
            else NOT_RUN
        ),
        wanted="at least 95 % of them",
        verdict=sum(row["in_time"] for row in rows) >= _IN_TIME * sum(known(rows, "asked"))
        if rows and both
        else None,
    )


def _kept(rows: Sequence[Row]) -> str:
    """Deadlines kept, in percent by run."""
    return spread((row["in_time"] / row["asked"] for row in rows), 100.0)


def _longer(both: Sequence[tuple[Row, Row]]) -> str:
    """What slower clocks cost, in words."""
    if not both:
        return ""
    seconds = [paced["simulated_s"] / fast["simulated_s"] - 1.0 for paced, fast in both]
    idle, active = (
        mean(paced[column] - fast[column] for paced, fast in both)
        for column in ("device_idle_j", "device_active_j")
    )
    return (
        f"the run lasts {spread(seconds, 100.0)} % longer, in which boards that wait draw idle "
        f"power: {idle:+.0f} J, against {active:+.0f} J above base power"
    )


def _both(runs: Runs, alpha: float) -> list[tuple[Row, Row]]:
    """Runs at paced and at the highest clocks, seed by seed."""
    paced, fast = runs.ends(alpha, STITCHED), runs.ends(alpha, STITCHED, variant=MAX_CLOCKS)
    return [(paced[seed], fast[seed]) for seed in sorted(paced.keys() & fast.keys())]


def _disturbed(table: Table) -> Target:
    def kept(pacer: str) -> float:
        rows = [row for row in table if row["pacer"] == pacer]
        return sum(row["met"] for row in rows) / max(sum(row["of"] for row in rows), 1)

    ours, plan = kept(FEEDBACK), kept(PLANNED)
    known = any(row["of"] for row in table)
    return Target(
        number=8,
        what="deadlines kept where speed changes by 20 %: feedback against a plan made once",
        found=f"{100 * ours:.1f} % against {100 * plan:.1f} %" if known else NOT_RUN,
        wanted="feedback misses fewer",
        verdict=ours > plan if known else None,
    )


def _split(runs: Runs) -> Target:
    pairs = runs.pairs(BLIND)
    parts = [
        f"{words} power {spread([_power(row, column) for row in pairs])}"
        for words, column in ACCOUNTS.items()
    ]
    return Target(
        number=9,
        what="where the saving comes from: joules are mean power times seconds, FedStitch over "
        "memory-blind FedAvg",
        article="power 0.86 times, if the largest figures are of one run",
        found=(
            f"seconds {spread([1.0 / each for each in speedup(pairs)])}; {'; '.join(parts)}"
            if pairs
            else NOT_RUN
        ),
        wanted="none, reported",
    )


def _power(row: Row, column: str) -> float:
    """Mean power of FedStitch over that of the other."""
    joules = row[f"stitched_{column}"] / row[f"other_{column}"]
    return joules * row["other_simulated_s"] / row["stitched_simulated_s"]


def _uplink(table: Table) -> Iterator[Target]:
    for size in appearing(table, "network") or ["zoo"]:
        rows = {row["method"]: row for row in table if row["network"] == size}
        ours, other = rows.get(STITCHED), rows.get("FedAvg")
        share = ours["bytes_up"] / other["bytes_up"] if ours and other else None
        yield Target(
            number=10,
            what=f"uplink of all clients against 100 rounds of FedAvg, {size}",
            found=NOT_RUN if share is None else f"{significant(100 * share)} %",
            wanted="below 1 %",
            verdict=None if share is None else share < _UPLINK,
        )
