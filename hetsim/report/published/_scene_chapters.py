"""Chapters about ways to train side by side, which pages share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hetsim.report.published import _scene_figures as figures
from hetsim.report.published._scenes import Scene
from hetsim.report.published._seeds import Sign, spread
from hetsim.report.published._target import Target, causes, tally
from hetsim.report.published.base import Chapter, Chart, Grid


def targets(found: Sequence[Target]) -> Chapter:
    """What is to be found again, and what is to be seen."""
    return Chapter(
        title="Targets",
        parts=(
            Grid(
                columns=("what", "hetsim", "wanted", "verdict"),
                rows=[(each.what, each.found, each.wanted, each.word) for each in found],
            ),
            *causes(found),
        ),
    )


def lead(
    report: str,
    intro: str,
    signs: Sequence[Sign],
    fleet: Scene,
    found: Sequence[Target],
    more: Sequence[str] = (),
) -> str:
    """The finding of a page: signs, what runs on the fleet took, and how many targets are met.

    Args:
        report: its name.
        intro: what it is about.
        signs: to be seen.
        fleet: with levels by hardware.
        found: all targets.
        more: further sentences.
    """
    return "\n".join(
        (
            intro,
            "",
            *(f"- {sign.words}." for sign in signs),
            *(f"- {sentence}" for sentence in more),
            *(f"- {sentence}" for sentence in _said_of(fleet)),
            f"- Targets: {tally(found)}",
            "",
            "A sign counts as seen if it is the same in every seed, and as not seen otherwise. "
            "Numbers of several runs are means with least and highest in brackets. Rebuild with "
            f"`hetsim report {report}`.",
        )
    )


def _said_of(fleet: Scene) -> Iterator[str]:
    for way in fleet.ways:
        yield (
            f"On 60 devices, {way}: {spread(fleet.ends(way, 'final').values(), 100.0)} % after "
            f"{spread(fleet.ends(way, 'simulated_s').values())} s, "
            f"{spread(fleet.ends(way, 'device_j').values(), 1e-3)} kJ of the devices, "
            f"{spread(fleet.ends(way, 'device_active_j').values(), 1e-3)} kJ of it above base, and "
            f"{fleet.left_out(way)} of them left out."
        )


def taking_part(scene: Scene) -> Chapter:
    """Levels and memory by kind of device."""
    return Chapter(
        title="Who takes part, and with how much",
        parts=(
            "A device is left out if what it is asked for does not fit the memory that other jobs "
            "leave. A level is the largest whose training fits that memory and with which the "
            "device is done in the time of a round.",
            scene.levels(),
            "Peak memory of a device, MB:",
            scene.peaks(),
        ),
    )


def by_device(scene: Scene, name: str = "classes") -> Chapter:
    """Joules by kind of device, under a file name of the figure."""
    return Chapter(
        title="Joules by kind of device",
        parts=(
            "Of whole runs, above base power, a device; *excluded* where all of a kind are.",
            Chart(
                name=name, caption="Active joules a device by kind, whole runs, mean over seeds.",
                draw=lambda figure: figures.draw_classes(figure, scene), height=4.6,
            ),
            scene.by_class(),
            "All that a device draws, base power included, which grows with the length of a run:",
            scene.by_class("total"),
        ),
    )  # fmt: skip


def learned(scene: Scene, *, title: str, intro: str, base: str, name: str = "curves") -> Chapter:
    """What each way learns, beside one of them."""
    return Chapter(
        title=title,
        parts=(
            intro,
            Chart(
                name=name, caption="Accuracy against rounds, seconds and joules, a line a run.",
                draw=lambda figure: figures.draw_curves(figure, scene), height=4.4,
            ),
            scene.learned(base),
        ),
    )  # fmt: skip


def whole_runs(scene: Scene, name: str = "ends") -> Chapter:
    """Seconds, joules, bytes and memory of whole runs."""
    return Chapter(
        title="Seconds, joules, bytes and memory of whole runs",
        parts=(
            Chart(
                name=name, caption="Seconds and joules of all devices, whole runs, a dot a seed.",
                draw=lambda figure: figures.draw_ends(figure, scene),
                height=1.2 + 0.3 * len(scene.ways),
            ),
            scene.took(),
        ),
    )  # fmt: skip


def to_goal(scene: Scene) -> Chapter:
    """The same up to the goal."""
    return Chapter(
        title="To the same accuracy",
        parts=(
            "Each run ends at its first score at the goal; where none is there, nothing is told.",
            scene.took_to_goal(),
        ),
    )


def written(settings: Mapping[str, Any]) -> str:
    """A scene as it is run."""
    changes = "\n".join(f"- `{change}`" for change in settings["changes"])
    ways = "\n".join(
        f"- {way}: `{'`, `'.join(changed)}`" for way, changed in settings["ways"].items()
    )
    seeds = ", ".join(map(str, settings["seeds"]))
    return (
        f"On `topologies/{settings['topology']}.yaml`, with seeds {seeds} and these changes:\n\n"
        f"{changes}\n\nWays:\n\n{ways}"
    )
