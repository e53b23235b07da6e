"""One picture of a run for a README: accuracy against minutes, joules by profile and kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.core.trace import Trace
from hetsim.report.energy import Group, groups, meanings
from hetsim.report.numbers import labels, si_scale, time_scale
from hetsim.report.page import answer
from hetsim.report.paper import BLUE, INK, MUTED, PLUM, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE, TARGET = BLUE, PLUM
COLOURS = {
    "compute": "#0072b2", "memory": "#b3588f", "radio": "#e08e00", "link": "#00845f",
    "loss": "#7a6fc4", "idle": "#a9b2bc", "radio_idle": "#d3d8de",
}  # fmt: skip
"""The page's light palette: work in colours, being there in greys."""
_BARS = 10


def draw(trace: Trace, path: Path) -> None:
    """Write the picture to `path`, an SVG file.

    The left half shows accuracy, or for a run that learned nothing the joules of each round.
    """
    with sheet(path) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        if any(row["accuracy"] is not None for row in trace.rounds):
            _accuracy(left, trace)
        else:
            _rounds(left, trace)
        _joules(right, trace)
        figure.legend(
            *right.get_legend_handles_labels(), loc="outside lower right", ncols=len(COLOURS),
            frameon=False, fontsize=8.5, labelcolor=MUTED, handlelength=0.9, handleheight=0.9,
            columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip
        name = str(trace.summary["name"])
        title = f"{labels([name], 24)[name]}: {answer(trace)}"
        figure.suptitle(plain(title), x=0.014, ha="left", fontsize=11)


def _accuracy(axes: Axes, trace: Trace) -> None:
    seen = [row for row in trace.rounds if row["accuracy"] is not None]
    scale = time_scale(trace.summary["simulated_s"])
    axes.plot(
        [row["t1_s"] * scale.factor for row in seen],
        [row["accuracy"] for row in seen],
        color=LINE, linewidth=1.8, marker="o" if len(seen) <= 60 else "", markersize=3.5,
        clip_on=False, zorder=3,
    )  # fmt: skip
    for target in trace.summary["time_to"]:
        axes.axhline(float(target), color=TARGET, linewidth=1, linestyle=(0, (5, 4)))
        axes.annotate(
            plain(target), (1, float(target)), xycoords=("axes fraction", "data"), color=TARGET,
            xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5,
        )  # fmt: skip
    axes.set(xlim=(0, None), ylim=(0, 1), xlabel=f"simulated time, {scale.unit}")
    axes.set_title("Accuracy")


def _rounds(axes: Axes, trace: Trace) -> None:
    clock = time_scale(trace.summary["simulated_s"])
    meter = si_scale(max((row["energy_j"] for row in trace.rounds), default=0.0), "J")
    axes.bar(
        [row["t0_s"] * clock.factor for row in trace.rounds],
        [row["energy_j"] * meter.factor for row in trace.rounds],
        [(row["t1_s"] - row["t0_s"]) * clock.factor * 0.92 for row in trace.rounds],
        align="edge", color=LINE,
    )  # fmt: skip
    axes.set(xlim=(0, None), ylim=(0, None), xlabel=f"simulated time, {clock.unit}")
    axes.set_title(f"Energy of each round, {meter.unit}")


def _joules(axes: Axes, trace: Trace) -> None:
    parts = groups(trace)
    shown = parts[:_BARS]
    meter = si_scale(max((part.total for part in parts), default=0.0), "J")
    words = meanings(trace)
    rows = range(len(shown))
    start = [0.0] * len(shown)
    for kind, colour in COLOURS.items():
        widths = [part.kinds[kind] * meter.factor for part in shown]
        if any(widths):
            axes.barh(rows, widths, left=start, height=0.62, color=colour, label=words[kind])
            start = [a + b for a, b in zip(start, widths, strict=True)]
    axes.set_yticks(rows, [_name(part) for part in shown], color=INK)
    axes.set_ylim(max(len(shown), 4) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    rest = f", {len(parts) - len(shown)} smaller ones left out" if len(parts) > len(shown) else ""
    axes.set_xlabel(f"{meter.unit}, all nodes of a profile{rest}")
    axes.set_title("Where the joules went")


def _name(part: Group) -> str:
    short = labels([part.name], 24)[part.name]
    return plain(f"{part.nodes:,} × {short}" if part.nodes > 1 else short)
