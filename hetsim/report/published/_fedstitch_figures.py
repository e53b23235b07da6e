"""Figures of the FedStitch report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from hetsim.report.paper import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    PLUM,
    SERIES,
    VIOLET,
    legend,
    logarithmic,
)
from hetsim.report.published._fedstitch_runs import STITCHED, Runs, name_of, skew
from hetsim.report.published.base import Row, Table, appearing, known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPONENTS = {
    "compute": ("device_compute_j", BLUE), "memory": ("device_memory_j", GREEN),
    "radio": ("device_radio_j", ORANGE), "idle": ("device_idle_j", GREY),
}  # fmt: skip
_PANEL = ("model", "batch")
_COLOURS = {
    STITCHED: BLUE, "memory-blind": INK, "exclusive": ORANGE, "all-small": GREEN,
    "best small": PLUM, "width-scaled": VIOLET, "depth-scaled": MUTED, "fine-tuning": GREY,
}  # fmt: skip
_TICKS = (1.0, 1.5, 2.0, 3.0, 4.0)
_PACERS = {
    "performance": INK, "race_to_idle": ORANGE, "deadline_feedback": BLUE,
    "deadline_oracle": GREEN, "bofl": PLUM, "schedutil": GREY,
}  # fmt: skip


def draw_energy(figure: Figure, runs: Runs) -> None:
    """Stacked bars of what all clients draw in a whole run, a panel a skew of labels."""
    all_axes: Any = figure.subplots(1, len(runs.alphas), sharey=True, squeeze=False)[0]
    for axes, alpha in zip(all_axes, runs.alphas, strict=True):
        places = runs.everywhere
        for y, place in enumerate(places):
            rows = runs.named(*place, alpha)
            start = 0.0
            for words, (column, colour) in COMPONENTS.items():
                size = mean(known(rows, column)) / 1e3
                axes.barh(
                    y, size, left=start, height=0.7, color=colour, label=words if not y else None
                )
                start += size
            axes.text(start, y, f" {start:,.2f}", va="center", color=MUTED, fontsize=8)
        axes.set(title=skew(alpha), xlabel="kJ", ylim=(len(places) - 0.4, -0.6))
        axes.margins(x=0.15)
        axes.set_yticks(range(len(places)), [", ".join(place) for place in places], color=INK)
    legend(figure, all_axes[0])


def draw_memory(figure: Figure, peaks: Table, limits: Table) -> None:
    """Bars of peak memory by method, and a line for what each board has.

    A row of panels for each network, one for each size of a batch.
    """
    models, batches = (appearing(peaks, name) for name in _PANEL)
    lines: Any = figure.subplots(
        len(models), len(batches), sharex=True, sharey="row", squeeze=False
    )
    free = {row["profile"]: row["free_b"] / 1e6 for row in limits}
    for panels, model in zip(lines, models, strict=True):
        for axes, batch in zip(panels, batches, strict=True):
            rows = [row for row in peaks if (row["model"], row["batch"]) == (model, batch)]
            for y, row in enumerate(rows):
                colour = BLUE if row["way"] == STITCHED else GREY
                axes.barh(y, row["peak_b"] / 1e6, height=0.7, color=colour)
            for (profile, limit), colour in zip(free.items(), (*SERIES[1:5], INK), strict=False):
                axes.axvline(
                    limit, color=colour, linewidth=1.2, linestyle=(0, (4, 3)),
                    label=profile.replace("_", " "),
                )  # fmt: skip
            axes.set(title=f"{model}, batches of {batch}", ylim=(len(rows) - 0.4, -0.6))
            logarithmic(axes, "x", (1.0,))
            axes.set_xlim(left=1.0)
            axes.set_yticks(range(len(rows)), [row["way"] for row in rows], color=INK)
    for axes in lines[-1]:
        axes.set_xlabel("MB")
    legend(figure, lines[0][0])


def draw_accuracy(figure: Figure, runs: Runs) -> None:
    """Accuracy against seconds and joules: a row a skew of labels, a line a run."""
    lines: Any = figure.subplots(len(runs.alphas), 2, sharey=True, squeeze=False)
    for (left, right), alpha in zip(lines, runs.alphas, strict=True):
        for (method, memory, seed), rows in _curves(runs, alpha).items():
            for axes, column, factor in ((left, "t_s", 1.0), (right, "device_j", 1e-3)):
                axes.plot(
                    [factor * row[column] for row in rows],
                    [100.0 * row["accuracy"] for row in rows],
                    color=_COLOURS.get(method, MUTED),
                    linestyle="--" if memory == "loose" else "-",
                    marker="o" if method == STITCHED else None,
                    markersize=3.5,
                    linewidth=0.9,
                    alpha=0.85,
                    label=method if seed == min(runs.seeds) and memory != "loose" else None,
                )
        left.set(title=skew(alpha), ylabel="test accuracy, %")
        for axes in (left, right):
            logarithmic(axes, "x")
    lines[-1][0].set(xlabel="simulated time, s")
    lines[-1][1].set(xlabel="joules of all clients (total), kJ")
    legend(figure, lines[0][0])


def _curves(runs: Runs, alpha: float) -> dict[tuple[str, str, int], list[Row]]:
    """Scores of all runs without variants."""
    curves: dict[tuple[str, str, int], list[Row]] = {}
    for row in runs.curves:
        if row["alpha"] == alpha and name_of(row) == row["method"]:
            curves.setdefault((row["method"], row["memory"], row["seed"]), []).append(row)
    return curves


def draw_ablations(figure: Figure, runs: Runs, variants: Sequence[str]) -> None:
    """Accuracy, joules above base and blocks scored, a dot a seed."""
    panels = (
        ("final", 100.0, "accuracy, %"), ("device_active_j", 1e-3, "active, kJ"),
        ("scored", 1.0, "blocks scored"),
    )  # fmt: skip
    all_axes: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    colours = dict(zip(runs.alphas, SERIES, strict=False))
    for axes, (column, factor, words) in zip(all_axes, panels, strict=True):
        for y, variant in enumerate(variants):
            for place, (alpha, colour) in enumerate(colours.items()):
                found = known(runs.ends(alpha, STITCHED, variant=variant).values(), column)
                axes.plot(
                    [factor * value for value in found],
                    [y + 0.18 * (place - 0.5)] * len(found),
                    "o",
                    color=colour,
                    alpha=0.8,
                    label=skew(alpha) if not y else None,
                )
        axes.set(xlabel=words, ylim=(len(variants) - 0.5, -0.5))
        axes.set_yticks(range(len(variants)), variants, color=INK)
    legend(figure, all_axes[0])


def draw_deadlines(figure: Figure, table: Table) -> None:
    """Joules by deadline, a line a governor: above base, and all that clients draw."""
    both: Any = figure.subplots(1, 2, squeeze=False)[0]
    for axes, column, words in zip(
        both,
        ("device_active_j", "device_j"),
        ("above base power (active)", "total, to the end of the run"),
        strict=True,
    ):
        for governor in appearing(table, "governor"):
            curve: dict[float, list[float]] = {}
            for row in table:
                if row["governor"] == governor:
                    curve.setdefault(row["factor"], []).append(row[column] / 1e3)
            axes.plot(
                list(curve), [mean(found) for found in curve.values()],
                "o--" if governor == "performance" else "o-",
                color=_PACERS.get(governor, MUTED), markersize=4, label=governor,
            )  # fmt: skip
        axes.set(title=words, xlabel="deadline, times the fastest", ylim=(0, None))
        axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    both[0].set_ylabel("joules of all clients, kJ")
    legend(figure, both[0])
