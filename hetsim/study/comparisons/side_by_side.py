"""Ways to train, side by side on one fleet and one task: what is learned, and what it takes.

A scene is a topology with changes that all ways share; a way is what it changes beyond that. All
runs of a scene have the same seeds, and so the same devices, data and links. What a run takes "to
the goal" is what a run adds up to that ends at its first score there: it is played once more, over
the same store. A goal that is common is the highest whole percent that every way reaches in every
seed; one that is a number may be missed, and columns of who does not reach it are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetsim.core.trace import Trace
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons import split_accuracy

_COMMON = "common"
_END = (
    "rounds", "final", "best", "simulated_s", "device_j", "device_active_j",
    "device_participant_j", "energy_j", "active_j", "participant_j", "server_j", "bytes_up",
    "bytes_down", "peak_memory_b", "excluded", "dropped",
)  # fmt: skip
_SUMS = ("energy_j", "active_j", "participant_j", "compute_j", "radio_j", "bytes_up", "bytes_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run.

    Attributes:
        scene: its scene.
        way: its way.
        seed: of all draws.
        topology: file, or name of a topology that comes with hetsim.
        overrides: of the scene and of the way, in this order.
        goal: of the scene: an accuracy, common, or none.
    """

    scene: str
    way: str
    seed: int
    topology: str
    overrides: tuple[str, ...]
    goal: float | str | None

    @property
    def head(self) -> dict[str, Any]:
        """What it is, as columns."""
        return {"scene": self.scene, "way": self.way, "seed": self.seed}

    def variant(self, rounds: int | None = None) -> Variant:
        """The run, up to its end or of so many rounds."""
        ending = () if rounds is None else (f"stop={{rounds: {rounds}}}",)
        return Variant(topology=self.topology, seed=self.seed, overrides=(*self.overrides, *ending))


def side_by_side(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    scenes: Mapping[str, Mapping[str, Any]],
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Every way of every scene with every seed.

    Of the tables, `scores` has a row a scored round with what was taken up to there; `runs` one a
    run; `classes` one a run and kind of device; `levels` one a run and device that has a level;
    `views` one a scored round and model that follows from the server's; `goals` one a run of a
    scene with a goal.

    Args:
        measured: folder whose `data` holds the data sets.
        work: folder of what is played already.
        progress: told how far it is.
        scenes: by name: `topology`, `changes` (overrides that all share), `ways` (by name the
            overrides of each), `seeds`, and if wanted a `goal`: an accuracy, or "common".
        workers: processes to play in.

    Raises:
        ValueError: a goal that is none; nothing has been played then.
    """

    def told(variants: Sequence[Variant], what: str) -> list[Any]:
        return campaign(
            variants, account, work=work, data=measured / "data", workers=workers,
            progress=lambda text: progress(f"{what}: {text}"),
        )  # fmt: skip

    entries = list(_entries(scenes))
    found = list(zip(entries, told([each.variant() for each in entries], "whole"), strict=True))
    reached = list(_reached(found))
    cut = told(
        [entry.variant(rounds) for entry, _, rounds in reached if rounds is not None], "to the goal"
    )
    ends = iter(cut)
    return {
        "runs": [{**entry.head, **each["end"]} for entry, each in found],
        "goals": [
            {
                **entry.head, "goal": goal, "reached": rounds is not None,
                **(dict.fromkeys(_END) if rounds is None else next(ends)["end"]),
            }
            for entry, goal, rounds in reached
        ],
        **{
            table: [{**entry.head, **row} for entry, each in found for row in each[table]]
            for table in ("scores", "classes", "levels", "views")
        },
    }  # fmt: skip


def _entries(scenes: Mapping[str, Mapping[str, Any]]) -> Iterator[Entry]:
    for name, scene in scenes.items():
        goal = scene.get("goal")
        if not (goal in (None, _COMMON) or (isinstance(goal, float) and 0.0 < goal <= 1.0)):
            raise ValueError(f'goal is {goal!r}, and must be an accuracy up to 1, or "{_COMMON}"')
        for way, changes in scene["ways"].items():
            for seed in scene["seeds"]:
                yield Entry(
                    scene=name, way=way, seed=seed, topology=scene["topology"],
                    overrides=(*scene["changes"], *changes), goal=goal,
                )  # fmt: skip


Told = tuple[Entry, Mapping[str, Any]]
"""A run and what `account` says of it."""


def _reached(found: Sequence[Told]) -> Iterator[tuple[Entry, float, int | None]]:
    """Runs that have a goal, with it and the rounds to it."""
    for entry, told in found:
        if entry.goal is None:
            continue
        goal = entry.goal
        if isinstance(goal, str):
            others = [each["scores"] for other, each in found if other.scene == entry.scene]
            goal = split_accuracy.goal_of(others)
        rounds = (row["round"] for row in told["scores"] if row["accuracy"] >= goal)
        yield entry, goal, next(rounds, None)


# --- a run ----------------------------------------------------------------------------------------


def account(trace: Trace) -> dict[str, Any]:
    """What is kept of a run."""
    told, summary = split_accuracy.account(trace), trace.summary
    devices = [row for row in trace.devices if row["role"] == "device"]
    profiles = {row["device"]: row["profile"] for row in devices}
    ending = {
        **told["end"],
        "rounds": summary["rounds"],
        "server_j": summary["energy_by_role_j"]["server"],
        "bytes_up": summary["bytes_up"],
        "bytes_down": summary["bytes_down"],
        "peak_memory_b": max(row["peak_memory_b"] for row in devices),
        "excluded": sum(bool(row["excluded"]) for row in devices),
        "dropped": sum(summary["dropouts"].values()),
    }
    return {
        "scores": told["scores"],
        "end": {name: ending[name] for name in _END},
        "classes": list(_classes(devices)),
        "levels": [
            {"device": note.actor, "profile": profiles[note.actor], "level": note.text}
            for note in trace.notes
            if note.cause == "level"
        ],
        "views": [{**row, "round": row["round"] + 1} for row in trace.views],
    }  # fmt: skip


def _classes(devices: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Devices by what they are."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in devices:
        kinds.setdefault((row["device_class"], row["profile"]), []).append(row)
    for (group, profile), rows in kinds.items():
        yield {
            "class": group,
            "profile": profile,
            "devices": len(rows),
            "excluded": sum(bool(row["excluded"]) for row in rows),
            "asked": sum(row["asked"] for row in rows),
            "used": sum(row["updates_used"] for row in rows),
            "peak_memory_b": max(row["peak_memory_b"] for row in rows),
            **{name: sum(row[name] for row in rows) for name in _SUMS},
        }
