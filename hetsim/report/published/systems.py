"""Seven systems on one fleet: FedStitch, FedHM, SPATL, EcoFed, FedLP, HeteroFL and FedAvg.

One data set, one target accuracy, 60 devices of twelve kinds: who can take part, how long it takes,
what each kind of device draws, and what moves over the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from hetsim.report.numbers import NONE, significant
from hetsim.report.published._scene_chapters import (
    by_device,
    learned,
    taking_part,
    to_goal,
    whole_runs,
    written,
)
from hetsim.report.published._scenes import ACCOUNTS, Scene
from hetsim.report.published._seeds import spread
from hetsim.report.published._target import NOT_RUN
from hetsim.report.published.base import Chapter, Need, Page, Tables

_SCENE = "one fleet"
_SGD = "epochs: 1, batch: 20, lr: 0.05, momentum: 0.9"
_WAYS = {
    "FedAvg": [f"method={{name: fedavg, {_SGD}}}"],
    "HeteroFL": [f"method={{name: heterofl, {_SGD}}}"],
    "FedHM": [f"method={{name: fedhm, {_SGD}}}"],
    "FedLP, layers sent": [f"method={{name: fedlp, {_SGD}}}"],
    "FedLP, layers held": [f"method={{name: fedlp, scheme: heterogeneous, {_SGD}}}"],
    "SPATL": [f"method={{name: spatl, {_SGD}}}"],
    "FedAvg, pre-trained": [f"method={{name: finetune, {_SGD}}}"],
    "EcoFed": [f"method={{name: ecofed, {_SGD}}}"],
    "FedStitch": [
        "method={name: fedstitch, zoo: [resnet8, plain_cnn, separable_cnn, wide_cnn]}",
        "governor=deadline_feedback",
    ],
}  # fmt: skip
_MEMORY = {3: "9 MB", 6: "9 MB", 8: "4 MB"}
"""Groups of the topology whose memory is short, and what there is of it here: the pictures are
sixteen times as large as those that the topology is made for."""


def _settings(
    *,
    ways: Sequence[str],
    seeds: Sequence[int],
    samples: int,
    rounds: int,
    every: int,
    test: int,
    source: int,
    epochs: int,
    goal: float,
    workers: int,
) -> dict[str, Any]:
    """The comparison's settings."""
    return {
        "scenes": {
            _SCENE: {
                "topology": "edge_levels",
                "changes": [
                    f"task={{data: {{name: cifar10, test: {test}}}, model: plain_cnn, partition: "
                    f"{{name: dirichlet, alpha: 0.5, minimum: {samples}}}, source: "
                    f"{{classes: [5, 6, 7, 8, 9], samples: {source}, epochs: {epochs}, batch: 32, "
                    "lr: 0.05, momentum: 0.9}}",
                    *(f"fleet[{group}].data.samples={samples}" for group in range(12)),
                    *(f'fleet[{group}].memory="{size}"' for group, size in _MEMORY.items()),
                    "governor=performance",
                    f"report={{evaluate_every: {every}}}",
                    f"stop={{rounds: {rounds}}}",
                ],
                "ways": {way: _WAYS[way] for way in ways},
                "seeds": list(seeds),
                "goal": goal,
            }
        },
        "workers": workers,
    }


_SCALES: Mapping[str, dict[str, Any]] = {
    "smoke": _settings(
        ways=("FedAvg", "HeteroFL", "EcoFed"), seeds=(0,), samples=20, rounds=2, every=1, test=60,
        source=60, epochs=1, goal=0.2, workers=1,
    ),
    "small": _settings(
        ways=tuple(_WAYS), seeds=(0, 1, 2), samples=150, rounds=40, every=4, test=4000,
        source=25_000, epochs=6, goal=0.5, workers=2,
    ),
    "full": _settings(
        ways=tuple(_WAYS), seeds=(0, 1, 2), samples=400, rounds=400, every=10, test=10_000,
        source=25_000, epochs=30, goal=0.65, workers=2,
    ),
}  # fmt: skip


class Systems:
    """Seven systems on one fleet: time, joules by device, bytes, memory, who could take part."""

    def needs(self, scale: str) -> Sequence[Need]:
        """All ways on the fleet."""
        return (Need(comparison="side_by_side", settings=_SCALES[scale]),)

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        scene = Scene(tables, _SCENE)
        return Page(
            title="Seven systems on one fleet",
            lead=_lead(scene),
            chapters=(
                taking_part(scene),
                to_goal(scene),
                by_device(scene),
                learned(
                    scene, title="What is learned", base="FedAvg",
                    intro="Test accuracy of the server's model; SPATL's is the mean over clients' "
                    "own models.",
                ),
                whole_runs(scene),
                _protocol(scene, _SCALES[scale]["scenes"][_SCENE]),
            ),
        )  # fmt: skip


# --- the reading ----------------------------------------------------------------------------------


def _lead(scene: Scene) -> str:
    return "\n".join(
        (
            "FedAvg, HeteroFL, FedHM, FedLP, SPATL, EcoFed and FedStitch on the same 60 devices, "
            "with the same pictures, links and draws, to the same accuracy.",
            "",
            *(f"{number}. {line}" for number, line in enumerate(_reading(scene), 1)),
            "",
            "Numbers of several seeds are means with least and highest in brackets; a way counts "
            "as there if it is there in every seed. Rebuild with `hetsim report systems`.",
        )
    )


def _reading(scene: Scene) -> Iterator[str]:
    """What the tables say, in ten lines."""
    there = [way for way in scene.ways if _reached(scene, way)]
    goal = NONE if scene.goal is None else f"{scene.goal:.0%}"
    missed = [way for way in scene.ways if way not in there]
    yield f"To {goal}: {_listed(there)}." + (
        f" Not in every seed: {_listed(missed)}." if missed else ""
    )
    yield f"Seconds, fewest first: {_ranked(scene, there, 'simulated_s', 1.0, 's')}."
    for words, column in ACCOUNTS.items():
        ranked = _ranked(scene, there, column, 1e-3, "kJ")
        yield f"Joules of the devices ({words}), fewest first: {ranked}."
    yield f"Megabytes both ways: {_ranked(scene, there, ('bytes_up', 'bytes_down'), 1e-6, 'MB')}."
    yield f"Left out for want of memory, of 60: {_left_out(scene)}."
    yield f"Most memory that a device needs, MB: {_each(scene, 'peak_memory_b', 1e-6)}."
    yield f"Best accuracy in the whole run, %: {_each(scene, 'best', 100.0)}."
    yield (
        "What is not alike: EcoFed, FedStitch and FedAvg where it is called so start from networks "
        "that were pre-trained on other pictures, at nobody's cost here; SPATL's accuracy is the "
        "mean of 60 models, each with a classifier of its own."
    )


def _reached(scene: Scene, way: str) -> bool:
    rows = scene.table("goals", way)
    return bool(rows) and all(row["reached"] for row in rows)


def _ranked(
    scene: Scene,
    ways: Sequence[str],
    columns: str | tuple[str, ...],
    factor: float,
    unit: str,
) -> str:
    """Ways in the order of what they took to the goal."""
    names = (columns,) if isinstance(columns, str) else columns
    sizes = {
        way: mean(sum(row[name] for name in names) for row in scene.table("goals", way))
        for way in ways
    }
    parts = [
        f"{way} {significant(factor * size)} {unit}"
        for way, size in sorted(sizes.items(), key=lambda each: each[1])
    ]
    return ", ".join(parts) or NOT_RUN


def _each(scene: Scene, column: str, factor: float) -> str:
    parts = [f"{way} {spread(scene.ends(way, column).values(), factor)}" for way in scene.ways]
    return "; ".join(parts) or NOT_RUN


def _left_out(scene: Scene) -> str:
    parts = [f"{way} {scene.left_out(way)}" for way in scene.ways]
    return "; ".join(parts) or NOT_RUN


def _listed(ways: Sequence[str]) -> str:
    return ", ".join(ways) or "nobody"


def _protocol(scene: Scene, settings: Mapping[str, Any]) -> Chapter:
    fleet = ", ".join(f"{count} {profile}" for profile, count in scene.profiles.items())
    return Chapter(
        title="Protocol",
        parts=(
            "Written before the runs that are shown; goal, rounds and settings were not changed "
            "after them. Network, sizes and learning rates are hetsim's, not those of the "
            "articles, so that two cores bear it; each article's own figures are in its report.",
            f"Fleet: {fleet}. Goal: {settings['goal']:.0%}.",
            written(settings),
            "Methods have their defaults where nothing is said: the time of a round is that which "
            "the median device takes for the whole network. The pool and the parts that start "
            "pre-trained are downloaded once and charged. FedStitch ends with its fourth block; "
            "its clocks are paced, as its article has it, those of all others are the highest.",
        ),
    )
