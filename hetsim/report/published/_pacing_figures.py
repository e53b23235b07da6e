"""Figures of the pacing report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from hetsim.report.paper import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PLUM, legend
from hetsim.report.published._bofl_published import words_of
from hetsim.report.published._pacing_targets import FEEDBACK, KINDS
from hetsim.report.published.base import Row, Table, appearing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    "performance": INK, "schedutil": ORANGE, "best_single": GREY, FEEDBACK: BLUE,
    "deadline_oracle": PLUM,
}  # fmt: skip
_WAYS = {
    "racing_j": ("racing at the highest clocks", INK), "early_j": ("stopping early", ORANGE),
    "late_j": ("stretching to the deadline", GREEN),
}  # fmt: skip
_BAND: dict[str, Any] = {"linewidth": 6.0, "alpha": 0.3}
_THIN: dict[str, Any] = {"linewidth": 1.5}
_ACROSS = 2


def height(table: Table) -> float:
    """Inches of a figure with a panel a sweep."""
    return 1.0 + 2.7 * (1 + (len(appearing(table, "sweep")) - 1) // _ACROSS)


def draw_joules(figure: Figure, runs: Table) -> None:
    """Joules over those at the highest clocks by deadline; hollow where a deadline is missed."""
    for axes, sweep in _panels(figure, runs):
        rows = [row for row in runs if row["sweep"] == sweep]
        for policy in _COLOURS:
            part = [row for row in rows if row["policy"] == policy]
            _line(axes, part, policy, appearing(rows, "ratio"))
        axes.plot([], [], "o", color=MUTED, markerfacecolor="white",
                  label="hollow: misses deadlines")  # fmt: skip
        axes.set(title=words_of(sweep), ylabel="joules, highest clocks = 1", ylim=(None, 1.03))
        _deadlines(axes, appearing(rows, "ratio"))
    legend(figure, figure.axes[0], 3)


def draw_disturbed(figure: Figure, shaken: Table) -> None:
    """Share of all deadlines that are met by deadline, a panel a disturbance."""
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in shaken)]
    all_axes: Any = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(all_axes, kinds, strict=True):
        rows = [row for row in shaken if row["kind"] == kind]
        for policy, colour in _COLOURS.items():
            part = [row for row in rows if row["policy"] == policy]
            shares = [
                100.0 * sum(row["all_met"] for row in here) / sum(row["jobs"] for row in here)
                for here in _by(part, "ratio").values()
            ]
            style = _BAND if policy == "performance" else _THIN | {"marker": "o", "markersize": 3.5}
            axes.plot(range(len(shares)), shares, color=colour, label=policy, **style)
        axes.set(title=KINDS[kind], ylim=(-3.0, 103.0))
        _deadlines(axes, appearing(rows, "ratio"))
    all_axes[0].set_ylabel("deadlines met, %")
    legend(figure, figure.axes[0], 3)


def draw_rest(figure: Figure, idle: Table, ratio: float) -> None:
    """Joules until one deadline by resting power; the line marks where the formula flips."""
    shown = [row for row in idle if row["ratio"] == ratio]
    for axes, sweep in _panels(figure, shown):
        rows = [row for row in shown if row["sweep"] == sweep]
        watts = [row["watts"] for row in rows]
        for name, (words, colour) in _WAYS.items():
            axes.plot(watts, [row[name] for row in rows], "-", color=colour, label=words)
        axes.plot(watts, [row["pacing_j"] for row in rows], "D", color=PLUM, markersize=5,
                  label="deadline_oracle, told of rest")  # fmt: skip
        axes.plot(watts, [row["feedback_j"] for row in rows], "x", color=BLUE, markersize=8,
                  markeredgewidth=1.8, label="deadline_feedback, told of rest")  # fmt: skip
        flip = rows[0]["flip_w"]
        if flip is not None:
            axes.axvline(flip, color=MUTED, linewidth=1.0, linestyle=(0, (5, 4)),
                         label="flips here by the formula")  # fmt: skip
        axes.set(title=words_of(sweep), xlabel="resting power, W", ylabel="J until the deadline")
    legend(figure, figure.axes[0], 3)


def _line(axes: Axes, rows: Sequence[Row], policy: str, places: Sequence[float]) -> None:
    """Means over seeds, each deadline's marker filled if every one is met; the bound is a band."""
    colour, bound = _COLOURS[policy], policy == "deadline_oracle"
    found = _by(rows, "ratio")
    joules = [mean(1.0 - row["saving_performance"] for row in found[ratio]) for ratio in places]
    axes.plot(range(len(places)), joules, color=colour, label=policy, **(_BAND if bound else _THIN))
    for place, ratio in enumerate(places):
        met = all(row["met"] == row["of"] for row in found[ratio])
        if policy not in ("performance", "deadline_oracle") or not met:
            axes.plot(place, joules[place], "o", color=colour, markersize=4.5,
                      markerfacecolor=colour if met else "white", zorder=3)  # fmt: skip


def _deadlines(axes: Axes, ratios: Sequence[float]) -> None:
    axes.set_xticks(range(len(ratios)), [f"{each:g}" for each in ratios])
    axes.set_xlabel("deadline over the fastest")


def _panels(figure: Figure, table: Table) -> Iterator[tuple[Axes, str]]:
    sweeps = appearing(table, "sweep")
    across = min(len(sweeps), _ACROSS)
    down = 1 + (len(sweeps) - 1) // across
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels[len(sweeps) :]:
        axes.remove()
    yield from zip(panels, sweeps, strict=False)


def _by(rows: Sequence[Row], name: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found
