"""Figures of ways to train side by side."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import TYPE_CHECKING, Any

from hetsim.report.paper import INK, SERIES, legend, logarithmic
from hetsim.report.published._scenes import ACCOUNTS, Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLES = ("-", "--", ":")
_HATCHES = ("", "////", "....")
"""Of lines and of bars, when colours begin anew."""
_THICK = 0.7
"""Of a row, what a bar takes."""


def draw_curves(figure: Figure, scene: Scene) -> None:
    """Accuracy against rounds, seconds and joules, a line a run."""
    panels = {"round": ("round", 1.0), "t_s": ("simulated time, s", 1.0),
              "device_j": ("joules of all devices (total), kJ", 1e-3)}  # fmt: skip
    all_axes: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (column, (words, factor)) in zip(all_axes, panels.items(), strict=True):
        for place, way in enumerate(scene.ways):
            for seed, rows in scene.curves(way).items():
                axes.plot(
                    [factor * row[column] for row in rows],
                    [100.0 * row["accuracy"] for row in rows],
                    color=colour(place),
                    linestyle=_STYLES[place // len(SERIES) % len(_STYLES)],
                    linewidth=1.0,
                    alpha=0.85,
                    label=way if seed == min(scene.seeds) else None,
                )
        axes.set_xlabel(words)
        if column != "round":
            logarithmic(axes, "x")
    all_axes[0].set_ylabel("test accuracy, %")
    legend(figure, all_axes[0])


def draw_ends(figure: Figure, scene: Scene) -> None:
    """Seconds and three accounts of joules of whole runs, a dot a seed."""
    panels: Mapping[str, tuple[str, float]] = {
        "simulated_s": ("simulated time, s", 1.0),
        **{column: (f"devices, {words}, kJ", 1e-3) for words, column in ACCOUNTS.items()},
    }
    all_axes: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (column, (words, factor)) in zip(all_axes, panels.items(), strict=True):
        for place, way in enumerate(scene.ways):
            found = [factor * value for value in scene.ends(way, column).values()]
            axes.barh(place, mean(found) if found else 0.0, height=_THICK, color=colour(place))
            axes.plot(found, [place] * len(found), "o", color=INK, markersize=2.5)
        axes.set(xlabel=words, ylim=(len(scene.ways) - 0.4, -0.6))
        axes.set_yticks(range(len(scene.ways)), scene.ways, color=INK)


def draw_views(figure: Figure, scene: Scene) -> None:
    """Accuracy of the model of each level, a dot a seed and a line a way."""
    axes: Any = figure.subplots()
    for place, way in enumerate(scene.ways):
        views = scene.views(way)
        for seed in scene.seeds:
            values = [100.0 * found[seed] for found in views.values() if seed in found]
            axes.plot(
                range(len(values)), values, "o-", color=colour(place), linewidth=1.0, markersize=4,
                alpha=0.85, label=way if values and seed == min(scene.seeds) else None,
            )  # fmt: skip
    most = max((len(scene.views(way)) for way in scene.ways), default=0)
    axes.set(xlabel="level, from the largest model to the smallest", ylabel="test accuracy, %")
    axes.set_xticks(range(most), [str(level) for level in range(most)])
    legend(figure, axes)


def draw_classes(figure: Figure, scene: Scene) -> None:
    """Joules above base a device, by profile: a group a profile, a bar a way."""
    axes: Any = figure.subplots()
    ways, profiles = scene.ways, scene.profiles
    for place, way in enumerate(ways):
        heights = [_a_device(scene, way, profile) for profile in profiles]
        offset = (place - (len(ways) - 1) / 2) * 0.8 / len(ways)
        axes.bar(
            [x + offset for x in range(len(profiles))], heights, width=0.8 / len(ways),
            color=colour(place), label=way, hatch=_HATCHES[place // len(SERIES) % len(_HATCHES)],
            edgecolor="white", linewidth=0.0,
        )  # fmt: skip
    axes.set_ylabel("active joules a device")
    logarithmic(axes, "y")
    axes.set_xticks(
        range(len(profiles)), [name.replace("_", " ") for name in profiles],
        rotation=30, ha="right", color=INK,
    )  # fmt: skip
    axes.grid(visible=False, axis="x")
    legend(figure, axes)


def colour(place: int) -> str:
    """Of a way, by its number; more than there are colours begin anew."""
    return SERIES[place % len(SERIES)]


def _a_device(scene: Scene, way: str, profile: str) -> float:
    rows = [row for row in scene.table("classes", way) if row["profile"] == profile]
    return mean(row["active_j"] / row["devices"] for row in rows) if rows else 0.0
