"""Capacity planning, from a question to a decision: boards, radios, clocks, a method, gateways.

One site of five buildings trains one model; the fleet, the way to the cloud, the governor, the
method and the number of gateways are open, each board and gateway has a price. What is asked, what
was looked at, what is chosen, and what one step from there would buy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hetsim.report.numbers import SPACE, duration, joules, significant
from hetsim.report.paper import BLUE, GREY, ORANGE, legend
from hetsim.report.published.base import Chapter, Chart, Grid, Need, Page, Table, Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Facts = Mapping[str, str]
"""The answer, a fact a name."""

_GOALS = ("accuracy>=0.9", "time<=30 s", "energy<=5 kJ")
_VARY = (
    "fleet[lab-jetson].count=0,2,4", "fleet[lab-pi].count=1,4,8,12",
    "fleet[greenhouse-pi].count=2,8,14,20", "fleet[dorm-laptop].count=0,2,4",
    "network.nodes.dorm={technology: wifi, power: 6 W},lte", "method.name=fedavg,fedprox",
    "method.epochs=2,5,8", "pace.edge_rounds=1,2,4", "governor=performance,schedutil,powersave",
    "gateways.count=1..5",
)  # fmt: skip
_GROUPS = ("library-pi", "library-phone", "lab-jetson", "lab-pi", "dorm-phone", "dorm-laptop",
           "greenhouse-pi", "gym-pi", "gym-phone")  # fmt: skip
_SAMPLES = 3
"""Pictures that each device holds: so few that a larger fleet knows more."""
_PRICES = (
    "raspberry_pi_4b=55", "raspberry_pi_5=80", "raspberry_pi_zero_2_w=15",
    "raspberry_pi_3b_plus=35", "jetson_tx2=400", "jetson_nano=150", "framework13_amd=900",
    "pixel_3a=100", "pixel_4a=150", "pixel_6=250", "core_ultra_265k=900", "wifi=60", "lte=900",
)  # fmt: skip
"""Of a device each, in round numbers; assumed, and all that the decision on prices rests on."""
_OBJECTIVES = ("time", "energy", "price")


def _settings(
    *, evaluations: int, seeds: Sequence[int], rounds: int, workers: int,
    vary: Sequence[str] = _VARY,
) -> dict[str, Any]:  # fmt: skip
    return {
        "asked": {
            "topology": "gateways_campus", "goals": _GOALS, "vary": vary, "prices": _PRICES,
            "seeds": seeds, "evaluations": evaluations,
            "overrides": (
                "task.model={name: mlp, hidden: [64]}", "task.partition.alpha=1.0",
                "method={name: fedavg, epochs: 5, batch: 6, lr: 0.02, momentum: 0.9}",
                f"stop.rounds={rounds}",
                *(f"fleet[{group}].data.samples={_SAMPLES}" for group in _GROUPS),
            ),
        },
        "workers": workers,
    }  # fmt: skip


_SCALES: Mapping[str, Mapping[str, Any]] = {
    "smoke": _settings(evaluations=3, seeds=(0,), rounds=2, workers=1, vary=_VARY[-2:]),
    "small": _settings(evaluations=200, seeds=(0, 1, 2), rounds=30, workers=2),
    "full": _settings(evaluations=800, seeds=(0, 1, 2, 3, 4), rounds=30, workers=2),
}


class Capacity:
    """Which boards, radio, clocks, method and gateways meet goals, and what a step would buy."""

    def needs(self, scale: str) -> Sequence[Need]:
        """One plan."""
        return (Need(comparison="capacity", settings=_SCALES[scale]),)

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        told = {row["fact"]: row["value"] for row in tables["answer"]}
        facts = {name: "" if value is None else str(value) for name, value in told.items()}
        lead = facts["answer"]
        if scale == "smoke":
            lead = f"A watermark of three configurations, too small to quote. {lead}"
        return Page(
            title="Capacity planning",
            lead=lead,
            chapters=(
                _question(facts, _SCALES[scale]["asked"]["vary"]),
                _looked(facts, tables["configurations"]),
                _decision(facts, tables["front"]),
                _steps(facts, tables["steps"]),
                _again(),
            ),
        )


def _question(facts: Facts, vary: Sequence[str]) -> Chapter:
    rows = [tuple(f"`{part}`" for part in text.split("=", 1)) for text in vary]
    return Chapter(
        title="The question",
        parts=(
            "Five buildings share one way to the cloud. How many boards of which kind, which radio "
            "in the dormitory, which governor, which method, how much work between two exchanges "
            f"and how many gateways reach {', '.join(f'`{goal}`' for goal in _GOALS)} in every "
            f"seed (here {facts['seeds']}), at the lowest price? Each device holds {_SAMPLES} "
            "handwritten digits, so a larger fleet knows more, and waits longer for its slowest; "
            "a perceptron learns them in seconds in place of hours.",
            Grid(columns=("what may be chosen", "from"), rows=rows),
            f"Prices, assumed: {', '.join(f'`{price}`' for price in _PRICES)}.",
        ),
    )


def _looked(facts: Facts, rows: Table) -> Chapter:
    names = {
        "none": "refused: no such run", "price": "cut by its price", "few": "cut after few rounds",
        "cost": "cut by a run without learning", "full": "trained to the end",
    }  # fmt: skip
    grid = [(names[rung], facts[f"rung {rung}"]) for rung in names if f"rung {rung}" in facts]
    return Chapter(
        title="What was looked at",
        parts=(
            f"{facts['looked_at']} configurations of {int(facts['space']):,}, each only as far as "
            "it could still change the answer.",
            Grid(columns=("how far", "configurations"), rows=grid, source="configurations"),
            Chart(
                name="plane", caption="Configurations that were trained to the end.",
                draw=lambda figure: _draw(figure, rows),
            ),
        ),
    )  # fmt: skip


def _draw(figure: Figure, rows: Table) -> None:
    played = [row for row in rows if row["rung"] == "full" and row["time_s"] is not None]
    left, right = figure.subplots(1, 2)
    for axes, across, label in ((left, "time_s", "seconds"), (right, "price", "price")):
        for words, colour, status in (
            ("misses a goal", GREY, ("misses", "nearest")),
            ("meets all goals", ORANGE, ("meets",)),
            ("front", BLUE, ("front", "chosen")),
        ):
            part = [row for row in played if row["status"] in status]
            axes.plot(
                [row[across] for row in part], [row["energy_j"] for row in part], "o",
                color=colour, markersize=4.5, label=words,
            )  # fmt: skip
        axes.set(xlabel=label, ylabel="joules")
    legend(figure, left, 3)


def _decision(facts: Facts, front: Table) -> Chapter:
    settings = [(f"`{name.removeprefix('set ')}`", f"`{value}`")
                for name, value in facts.items() if name.startswith("set ")]  # fmt: skip
    words = "The chosen configuration:" if facts["met"] == "True" else (
        f"Nothing that was looked at meets all goals: the nearest miss ({facts['misses']}):"
    )  # fmt: skip
    rows = [
        (row["file"], _seconds(row["time_s"]), _energy(row["energy_j"]), _plain(row["price"]),
         _plain(row["accuracy"]))
        for row in front[:15]
    ]  # fmt: skip
    return Chapter(
        title="The decision",
        parts=(
            words,
            Grid(columns=("key", "value"), rows=settings, source="answer"),
            "The Pareto front, its first files, the chosen one at the top:",
            Grid(columns=("file", "time", "energy", "price", "accuracy"), rows=rows,
                 source="front"),
        ),
    )  # fmt: skip


def _steps(facts: Facts, steps: Table) -> Chapter:
    around = "the chosen configuration" if facts["met"] == "True" else "the nearest miss"
    rows = [
        (
            row["step"], *(_change(row[f"{name}_change"]) for name in _OBJECTIVES),
            "all met" if row["meets"] else row["why"] or "",
        )
        for row in steps
    ]  # fmt: skip
    return Chapter(
        title="What a step would buy",
        parts=(
            f"One step from {around}, all else as it is; with every seed, the worst counts.",
            Grid(columns=("step", *_OBJECTIVES, "goals"), rows=rows, source="steps"),
        ),
    )


def _again() -> Chapter:
    return Chapter(
        title="Again",
        parts=(
            "`hetsim report capacity --scale small` plays it; a plan that is stopped goes on from "
            "the runs that are kept. The search and its cuts are described in "
            "`hetsim/study/search.py` and `hetsim/study/ladder.py`. Prices are the planner's, not "
            "the world's: change them first.",
        ),
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else duration(value).replace(SPACE, " ")


def _energy(value: float | None) -> str:
    return "" if value is None else joules(value).replace(SPACE, " ")


def _plain(value: float | None) -> str:
    return "" if value is None else significant(value, 4)


def _change(value: float | None) -> str:
    if value is None:
        return ""
    sign = "−" if value < 0 else "+" if value > 0 else ""
    return f"{sign}{significant(abs(100.0 * value), 2)} %"
