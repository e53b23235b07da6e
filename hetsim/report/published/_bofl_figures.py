"""Figures of the BoFL report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from statistics import mean
from typing import TYPE_CHECKING, Any

from hetsim.report.paper import BLUE, GREEN, GREY, INK, ORANGE, PLUM, legend
from hetsim.report.published._bofl_published import CLAIM, PUBLISHED, words_of
from hetsim.report.published._bofl_targets import of
from hetsim.report.published.base import Row, Table, appearing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POLICIES = {
    "oracle": "Oracle", "best_single": "one setting a round", "bofl": "BoFL",
    "feedback_first": "deadline_feedback, exploring",
    "feedback_tenth": "deadline_feedback, a tenth",
}  # fmt: skip
_COLOURS = {
    "oracle": INK, "best_single": GREY, "bofl": BLUE, "feedback_first": ORANGE,
    "feedback_tenth": GREEN,
}  # fmt: skip
_ACROSS = 3
_SLOWEST, _DEAREST = 3.0, 1.3
"""Where the picture of settings ends, as multiples of the highest clocks."""


def height(table: Table) -> float:
    """Inches of a figure with a panel a sweep."""
    return 0.9 + 2.7 * (1 + (len(_sweeps(table)) - 1) // _across(table))


def draw_savings(figure: Figure, runs: Table) -> None:
    """Saving by ratio, a panel a sweep: means over seeds, theirs as crosses."""
    for axes, sweep in _panels(figure, runs):
        rows = [row for row in runs if row["sweep"] == sweep]
        for policy, words in POLICIES.items():
            points = sorted(_means(of(rows, policy), "ratio", "saving_percent").items())
            axes.plot(
                [ratio for ratio, _ in points], [value for _, value in points], "o-",
                color=_COLOURS[policy], label=words, markersize=3.5, linewidth=1.4,
            )  # fmt: skip
        axes.plot([], [], "x", color=PLUM, label="BoFL, its authors")
        if known := PUBLISHED.get(sweep):
            ratios = sorted({row["ratio"] for row in rows} & known.cells.keys())
            axes.plot(ratios, [known.saving(ratio) for ratio in ratios], "x", color=PLUM,
                      markersize=7, markeredgewidth=1.8, zorder=5)  # fmt: skip
        axes.axhline(CLAIM, color=PLUM, linewidth=1.0, linestyle=":", label="abstract: 26 %")
        axes.set(title=words_of(sweep), xlabel="latest over earliest deadline",
                 ylabel="joules saved, %")  # fmt: skip
    legend(figure, figure.axes[0], 4)


def draw_rounds(figure: Figure, rounds: Table) -> None:
    """Joules saved since the first round, by round."""
    for axes, sweep in _panels(figure, rounds):
        rows = [row for row in rounds if row["sweep"] == sweep]
        top = list(accumulate(row["joules"] for row in of(rows, "performant")))
        for policy, words in POLICIES.items():
            part = of(rows, policy)
            if part:
                spent = accumulate(row["joules"] for row in part)
                saved = [100.0 * (1.0 - a / b) for a, b in zip(spent, top, strict=True)]
                axes.plot(range(1, len(saved) + 1), saved, color=_COLOURS[policy], label=words,
                          linewidth=1.6)  # fmt: skip
        exploring = [row["round"] for row in of(rows, "bofl") if row["phase"] < 3]
        axes.axvspan(0.5, max(exploring, default=0) + 0.5, color=BLUE, alpha=0.08, linewidth=0,
                     label="BoFL explores")  # fmt: skip
        axes.set(title=words_of(sweep), xlabel="round", ylabel="saved so far, %",
                 xlim=(0.5, len(top)))  # fmt: skip
    legend(figure, figure.axes[0], 4)


def draw_fronts(figure: Figure, points: Table) -> None:
    """What BoFL measured, beside the front of the whole sweep."""
    styles: dict[str, dict[str, Any]] = {
        "first": {"marker": "o", "color": GREY, "label": "tried first"},
        "asked": {"marker": "o", "color": BLUE, "label": "asked for by the optimiser"},
        "front": {"marker": ".", "color": ORANGE, "label": "true front", "markersize": 3.0},
        "hull": {"linestyle": "-", "color": ORANGE, "label": "its hull", "linewidth": 1.2},
    }
    for axes, sweep in _panels(figure, points):
        for kind, style in styles.items():
            part = [row for row in points if (row["sweep"], row["kind"]) == (sweep, kind)]
            axes.plot(
                [row["time"] for row in part], [row["energy"] for row in part],
                **({"linestyle": "none", "markersize": 4.5, "alpha": 0.8} | style),
            )  # fmt: skip
        axes.set(title=words_of(sweep), xlabel="seconds, highest clocks = 1",
                 ylabel="joules, highest clocks = 1", xlim=(0.95, _SLOWEST),
                 ylim=(None, _DEAREST))  # fmt: skip
    legend(figure, figure.axes[0], 4)


def _sweeps(table: Table) -> list[str]:
    return appearing(table, "sweep")


def _across(table: Table) -> int:
    count = len(_sweeps(table))
    return 2 if count == 4 else min(count, _ACROSS)


def _panels(figure: Figure, table: Table) -> Iterator[tuple[Axes, str]]:
    """Axes for each sweep; what is left over stays empty."""
    sweeps, across = _sweeps(table), _across(table)
    down = 1 + (len(sweeps) - 1) // across
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels[len(sweeps) :]:
        axes.remove()
    yield from zip(panels, sweeps, strict=False)


def _means(rows: Sequence[Row], by: str, column: str) -> dict[float, float]:
    values: dict[float, list[float]] = {}
    for row in rows:
        values.setdefault(row[by], []).append(row[column])
    return {key: mean(each) for key, each in values.items()}
