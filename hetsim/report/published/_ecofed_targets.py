"""What of EcoFed is to be reproduced, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hetsim.report.numbers import NONE, significant
from hetsim.report.published import _target
from hetsim.report.published._ecofed_runs import DEFAULT, Runs, method_name, one, ratio
from hetsim.report.published._target import NOT_RUN
from hetsim.report.published.base import Row, Table, Tables, appearing, known

_VGG11 = {"model": "vgg11_fc3", "data": "cifar10"}
_ORDER = ("FedAvg", "DPFL", "FedGKT", "LGL", "EcoFed, period 1", "EcoFed")
_LOGGED = {("FL", 10): 19.41, ("DPFL", 10): 125.10, ("EDPFL", 10): 7.84}
"""MiB a round of both boards, ResNet-12."""
_ROUND = 3.85
_CHOSEN = ("fastest", "thriftiest")
_RATIOS = {"FL/EDPFL": 15.1, "DPFL/EDPFL": 8.4, "FL/DPFL": 1.80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(_target.Target):
    """What is to be reproduced.

    Attributes:
        article, derived: the number that it states, and that of its code or of the logs.
        difference: to the article where it states a number, else to the other.
    """

    article: str = NONE
    derived: str = NONE
    difference: str = NONE


def targets(tables: Tables) -> list[Target]:
    """All of them."""

    def table(name: str) -> Table:
        return tables.get(name, ())

    runs = Runs(table("accuracy"), table("accuracy_end"), table("accuracy_goal"))
    return [
        *_bytes(table("bytes")),
        *_boards(table("edpfl_runs"), table("edpfl_rounds"), table("edpfl_ratios")),
        *_speedups(table("speedups")),
        _contention(table("contention")),
        *_signs(runs),
        *_fewer_bytes(runs),
        *_adaptive(table("adaptive")),
    ]


def _near(
    what: str,
    found: float | None,
    within: float,
    *,
    article: float | None = None,
    derived: float | None = None,
) -> Target:
    """A number that is to be met within a share of it."""
    goal = article if article is not None else derived
    assert goal is not None
    off = None if found is None else found / goal - 1.0
    return Target(
        what=what,
        article=_number(article),
        derived=_number(derived),
        found=NOT_RUN if found is None else significant(found, 4),
        difference=NONE if off is None else f"{100 * off:+.2f} %",
        wanted=f"± {significant(100 * within)} %",
        verdict=None if off is None else abs(off) <= within,
    )


def _between(what: str, found: Sequence[float], low: float, high: float, derived: str) -> Target:
    """Numbers that are all to lie in a range."""
    return Target(
        what=what,
        derived=derived,
        found=_low_high(found),
        wanted=f"{significant(low)} to {significant(high)}",
        verdict=low <= min(found) and max(found) <= high if found else None,
    )


# --- bytes ----------------------------------------------------------------------------------------


def _bytes(table: Table) -> Iterator[Target]:
    eco = one(table, **_VGG11, **DEFAULT)

    def over(method: str) -> float | None:
        return ratio(one(table, **_VGG11, method=method), eco, "mib")

    def inverse(value: float | None) -> float | None:
        return 1.0 / value if value else None

    yield _near("bytes, FedAvg over EcoFed", over("fedavg"), 0.01, article=133, derived=133.1)
    yield _near("bytes, DPFL over EcoFed", over("dpfl"), 0.015, article=16, derived=16.15)
    lgl, dpfl = over("lgl"), inverse(over("dpfl"))
    share = lgl * dpfl if lgl and dpfl else None
    yield _near("bytes, LGL over DPFL", share, 0.02, derived=16.87 / 31.89)
    off = [(abs(row["mib"] / row["paper_mib"] - 1.0), row) for row in table if row["paper_mib"]]
    far = max(off, key=lambda each: each[0], default=None)
    worst = "" if far is None else f" ({far[1]['model']}, {far[1]['data']}, {method_name(far[1])})"
    count = sum(each <= 0.01 for each, _ in off)
    yield Target(
        what="bytes, whole table",
        found=f"{count} of {len(off)} within 1 %" if off else NOT_RUN,
        difference=NONE if far is None else f"at most {100 * far[0]:.2f} %{worst}",
        wanted="± 1 %",
        verdict=count == len(off) if off else None,
    )
    places = dict.fromkeys((row["model"], row["data"]) for row in table)
    orders = [_order([row for row in table if (row["model"], row["data"]) == at]) for at in places]
    yield Target(
        what="bytes, order of methods",
        derived=" > ".join(_ORDER),
        found=f"so in {sum(orders)} of {len(orders)} networks" if orders else NOT_RUN,
        wanted="in all",
        verdict=all(orders) if orders else None,
    )


def _order(rows: Sequence[Row]) -> bool:
    sizes = {method_name(row): row["mib"] for row in rows}
    found = [sizes.get(name, 0.0) for name in _ORDER]
    return all(a > b for a, b in pairwise(found)) and 0.0 not in found


# --- two boards -----------------------------------------------------------------------------------


def _boards(runs: Table, rounds: Table, ratios: Table) -> Iterator[Target]:
    longest = [row for row in runs if row["model"] == "resnet12" and row["measured_s"]]

    def last(method: str) -> Row | None:
        return next((row for row in reversed(longest) if row["method"] == method), None)

    for (method, _), mib in _LOGGED.items():
        row = last(method)
        found = row["simulated_mib"] if row else None
        yield _near(f"two boards, MiB a round, {method}", found, 0.01, derived=mib)
    row = last("EDPFL")
    yield _near(
        "two boards, mean round of EDPFL, s",
        row["simulated_s"] if row else None,
        0.25,
        derived=_ROUND,
    )
    for kind, low, high, logged in (
        ("update", 4.0, 8.5, "5.0 to 7.9"), ("replay", 0.7, 1.6, "1.08 to 1.30"),
    ):  # fmt: skip
        found = known([row for row in rounds if row["kind"] == kind], "simulated_s")
        yield _between(f"two boards, {kind} rounds, s", found, low, high, logged)
    for name, logged in _RATIOS.items():
        row = one(ratios, ratio=name)
        found = row["simulated"] if row else None
        yield _near(f"two boards, seconds, {name}", found, 0.20, derived=logged)
    row = one(ratios, ratio="update/replay")
    yield _between(
        "two boards, update over replay", [row["simulated"]] if row else [], 4.0, 7.0, "4 to 7"
    )


# --- a server that is not infinitely fast ---------------------------------------------------------


def _speedups(table: Table) -> Iterator[Target]:
    devices = appearing(table, "device")
    for device in devices or ["Raspberry Pi 4"]:
        rows = [row for row in table if row["device"] == device]
        off = [
            row["fl_over_ecofed"] / row["paper_fl"] - 1.0 if row["fl_over_ecofed"] else None
            for row in rows
        ]
        told = [each for each in off if each is not None]
        met = sum(abs(each) <= 0.20 for each in told)
        yield Target(
            what=f"seconds, FedAvg over EcoFed where DPFL over EcoFed is 2.86, {device}",
            article="21",
            found=(
                f"{_low_high(known(rows, 'fl_over_ecofed'))}, met at {met} of {len(rows)} "
                "bandwidths"
                if rows
                else NOT_RUN
            ),
            difference=(f"{100 * min(told):+.0f} to {100 * max(told):+.0f} %" if told else NONE),
            wanted="± 20 %",
            verdict=met == len(rows) if rows else None,
        )


def _contention(table: Table) -> Target:
    off = [abs(row["round_s"] / row["closed_form_s"] - 1.0) for row in table]
    most = max((row["clients"] for row in table), default=0)
    return Target(
        what="a server in demand, beside the closed form",
        found=f"up to {most} clients" if table else NOT_RUN,
        difference=f"at most {100 * max(off):.4f} %" if off else NONE,
        wanted="± 1 %",
        verdict=max(off) <= 0.01 if off else None,
    )


# --- accuracy -------------------------------------------------------------------------------------


def _signs(runs: Runs) -> Iterator[Target]:
    for sign in runs.signs:
        yield Target(
            what=f"accuracy: {sign.what}",
            found=sign.verdict,
            difference=f"{sign.points} points" if sign.differences else NONE,
            wanted="in every seed" if "mean" not in sign.what else "± 1 point",
            verdict=sign.seen,
        )


def _fewer_bytes(runs: Runs) -> Iterator[Target]:
    names = ("EcoFed, period 1", "EcoFed", "EcoFed, period 4", "EcoFed, period 8")
    sizes = [list(runs.bytes(name).values()) for name in names]
    sent = [each for each in sizes if each]
    yield Target(
        what="a longer period sends fewer bytes",
        found=(
            " > ".join(f"{significant(max(each) / 1e6)} MB" for each in sent)
            if len(sent) == len(names)
            else NOT_RUN
        ),
        wanted="exact order",
        verdict=(
            all(min(a) > max(b) for a, b in pairwise(sizes)) if len(sent) == len(names) else None
        ),
    )


# --- cuts -----------------------------------------------------------------------------------------


def _adaptive(table: Table) -> Iterator[Target]:
    def factors(network: str) -> list[float]:
        """Seconds of the best cut for all over those of the fastest for each, run by run."""
        found: list[float] = []
        for row in table:
            if row["network"] != network or row["plan"] != "fastest":
                continue
            fixed = [
                other["seconds"]
                for other in table
                if other["plan"] not in _CHOSEN
                and all(other[name] == row[name] for name in ("network", "fleet", "seed"))
            ]
            if fixed and row["seconds"]:
                found.append(min(fixed) / row["seconds"])
        return found

    static, changing = factors("static"), factors("4g")
    yield Target(
        what="chosen cuts beside the best one for all, static network",
        found=f"{_low_high(static)} times as fast" if static else NOT_RUN,
        wanted="not more than 2 % slower",
        verdict=min(static) >= 1.0 / 1.02 if static else None,
    )
    yield Target(
        what="chosen cuts beside the best one for all, 4G trace",
        found=f"{_low_high(changing)} times as fast" if changing else NOT_RUN,
        wanted="faster",
        verdict=min(changing) > 1.0 if changing else None,
    )


def _number(value: float | None) -> str:
    return NONE if value is None else significant(value, 4)


def _low_high(values: Sequence[float]) -> str:
    if not values:
        return NOT_RUN
    low, high = significant(min(values)), significant(max(values))
    return low if low == high else f"{low} to {high}"
