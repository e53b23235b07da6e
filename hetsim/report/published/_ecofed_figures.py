"""Figures of the EcoFed report."""

from __future__ import annotations

from collections.abc import Mapping
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
from hetsim.report.published._ecofed_runs import ECOFED, Runs, fleet_name, method_name
from hetsim.report.published.base import Row, Table, appearing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {
    "FedAvg": INK, "DPFL": ORANGE, "LGL": GREEN, "FedGKT": PLUM, ECOFED: BLUE,
    "fine-tuning": GREY,
}  # fmt: skip
_ACCOUNTS = {"total": BLUE, "active": ORANGE, "participant": GREEN}
_KINDS = {"update": BLUE, "replay": VIOLET}


def draw_bytes(figure: Figure, table: Table, networks: Mapping[Any, str]) -> None:
    """Bars of ours and ticks of the code's, a panel a network."""
    shown = {
        place: [row for row in table if (row["model"], row["data"]) == place] for place in networks
    }
    panels = {place: rows for place, rows in shown.items() if rows}
    all_axes: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (place, rows) in zip(all_axes, panels.items(), strict=True):
        for y, row in enumerate(rows):
            axes.barh(y, row["mib"], height=0.72, color=_colour(row))
            if row["paper_mib"]:
                axes.plot(row["paper_mib"], y, "|", color=INK, markersize=13, markeredgewidth=1.6)
        axes.set(title=networks[place], xlabel="MiB", ylim=(len(rows) - 0.4, -0.6))
        logarithmic(axes, "x", (1.0,))
        axes.set_yticks(range(len(rows)), [method_name(row) for row in rows], color=INK)


def draw_times(figure: Figure, table: Table) -> None:
    """Seconds by bandwidth: a column a server, a row a board, a line a method."""
    boards, servers = appearing(table, "device"), appearing(table, "server")
    all_axes: Any = figure.subplots(
        len(boards), len(servers), sharex=True, sharey=True, squeeze=False
    )
    for line, board in zip(all_axes, boards, strict=True):
        for axes, server in zip(line, servers, strict=True):
            rows = [row for row in table if (row["device"], row["server"]) == (board, server)]
            for way in dict.fromkeys((row["method"], row["overlap"]) for row in rows):
                part = sorted(
                    (row for row in rows if (row["method"], row["overlap"]) == way),
                    key=lambda row: row["bandwidth_mbit"],
                )
                axes.plot(
                    [row["bandwidth_mbit"] for row in part], [row["seconds"] for row in part],
                    color=_colour(part[0]), marker="o", markersize=3,
                    linestyle="--" if way[1] else "-",
                    label=None if way[1] else method_name(part[0]),
                )  # fmt: skip
            logarithmic(axes, "x")
            logarithmic(axes, "y")
        line[0].set_ylabel(f"seconds\n{board}")
    for axes, server in zip(all_axes[0], servers, strict=True):
        axes.set_title(server)
    for axes in all_axes[-1]:
        axes.set_xlabel("Mbit/s")
    legend(figure, all_axes[0][0])


def draw_speedups(figure: Figure, table: Table) -> None:
    """EcoFed over FedAvg by bandwidth, a line a board."""
    axes = figure.subplots()
    goal = next((row["paper_fl"] for row in table), None)
    if goal is not None:
        axes.axhspan(0.8 * goal, 1.2 * goal, color=GREY, alpha=0.25, linewidth=0)
        axes.axhline(goal, color=MUTED, linewidth=1, linestyle=(0, (5, 4)))
    for board, colour in zip(appearing(table, "device"), SERIES, strict=False):
        part = [row for row in table if row["device"] == board and row["fl_over_ecofed"]]
        axes.plot(
            [row["bandwidth_mbit"] for row in part], [row["fl_over_ecofed"] for row in part],
            "o-", color=colour, markersize=4, label=board,
        )  # fmt: skip
    axes.set(xlabel="Mbit/s", ylabel="times as fast as FedAvg", ylim=(0, None), xlim=(0, None))
    legend(figure, axes)


def draw_rounds(figure: Figure, table: Table) -> None:
    """Bars of rounds foretold with their range, dots of those logged."""
    axes = figure.subplots()
    for row in table:
        x, colour = row["round"] + 1, _KINDS.get(row["kind"], GREY)
        axes.bar(x, row["simulated_s"], width=0.7, color=colour, alpha=0.8)
        axes.plot([x, x], [row["low_s"], row["high_s"]], color=INK, linewidth=1.2)
        if row["measured_s"] is not None:
            axes.plot(x, row["measured_s"], "o", color=ORANGE, markersize=6, zorder=4)
    for kind, colour in _KINDS.items():
        axes.bar(0, 0, color=colour, alpha=0.8, label=f"{kind}, foretold")
    axes.plot([], [], "o", color=ORANGE, label="logged")
    rounds = [row["round"] + 1 for row in table]
    axes.set(xlabel="round", ylabel="seconds", xlim=(min(rounds) - 0.7, max(rounds) + 0.7))
    axes.set_xticks(rounds)
    legend(figure, axes)


def draw_joules(figure: Figure, table: Table) -> None:
    """Three accounts of the devices by method, a panel a fleet."""
    fleets = appearing(table, "fleet")
    all_axes: Any = figure.subplots(1, len(fleets), squeeze=False)[0]
    for axes, fleet in zip(all_axes, fleets, strict=True):
        rows = [row for row in table if row["fleet"] == fleet]
        for place, (account, colour) in enumerate(_ACCOUNTS.items()):
            for y, row in enumerate(rows):
                axes.barh(
                    y + 0.26 * (place - 1), row[f"device_{account}_j"] / 1e3, height=0.24,
                    color=colour, label=account if y == 0 else None,
                )  # fmt: skip
        axes.set(title=fleet_name(fleet), xlabel="kJ", ylim=(len(rows) - 0.5, -0.5))
        logarithmic(axes, "x", (1.0,))
        axes.set_yticks(range(len(rows)), [method_name(row) for row in rows], color=INK)
    legend(figure, all_axes[0])


def draw_accuracy(figure: Figure, runs: Runs) -> None:
    """Accuracy against time and joules, a line a run."""
    left, right = figure.subplots(1, 2, sharey=True)
    for name in runs.methods:
        for seed in runs.seeds:
            part = runs.curve(name, seed)
            first = seed == runs.seeds[0]
            for axes, value, factor in ((left, "t_s", 1.0), (right, "device_j", 1e-3)):
                axes.plot(
                    [factor * row[value] for row in part],
                    [100 * row["accuracy"] for row in part],
                    color=_COLOURS.get(name, MUTED),
                    linewidth=1.8 if first else 0.8,
                    alpha=1.0 if first else 0.45,
                    label=name if first and axes is left else None,
                )
    left.set(xlabel="simulated time, s", ylabel="test accuracy, %")
    right.set(xlabel="joules of the devices, total, kJ")
    for axes in (left, right):
        logarithmic(axes, "x")
    legend(figure, left)


def draw_ablations(figure: Figure, runs: Runs) -> None:
    """Accuracy at the end against bytes, a dot a seed, a colour a variant."""
    axes = figure.subplots()
    for name, colour in zip(runs.variants, (*SERIES, INK, MUTED), strict=False):
        found, sizes = runs.late(name), runs.bytes(name)
        seeds = sorted(found.keys() & sizes.keys())
        axes.plot(
            [sizes[seed] / 1e6 for seed in seeds], [100 * found[seed] for seed in seeds], "o",
            color=colour, alpha=0.8, label=name,
        )  # fmt: skip
    axes.set(xlabel="MB of a run", ylabel="accuracy at the end, %")
    logarithmic(axes, "x")
    legend(figure, axes, 4)


def _colour(row: Row) -> str:
    return _COLOURS.get(method_name(row).split(",")[0], MUTED)
