"""FedHM: what low ranks weigh, what they learn, and what they take on real boards and phones.

Parameters, multiply-adds and bytes beside what its authors printed; accuracy of every level, beside
HeteroFL and networks that are small for all; and what the article does not have: seconds, joules
and memory on 60 devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hetsim.report.published import _fedhm_costs as costs
from hetsim.report.published import _scene_figures as figures
from hetsim.report.published._scene_chapters import (
    by_device,
    lead,
    learned,
    taking_part,
    targets,
    whole_runs,
    written,
)
from hetsim.report.published._scenes import EDGE, Scene, edge, lab
from hetsim.report.published._seeds import Sign, above, less, points, spread
from hetsim.report.published.base import Chapter, Chart, Grid, Need, Page, Tables

_LEVELS = "levels"
_MODEL = "{name: resnet18, width: 0.25, statistics: batch}"
_SMALL = "{name: resnet18, width: 0.0875, statistics: batch}"
_LOW = (
    '{name: low_rank, model: resnet18, options: \'{"statistics": "batch", "width": 0.25}\', '
    "factor: 8}"
)
FEDAVG, FEDHM, HETEROFL = "FedAvg, whole network", "FedHM", "HeteroFL"
ALL_LOW, ALL_NARROW = "all at rank 1/8", "all at width 0.35"


def _settings(
    *, seeds: Sequence[int], clients: int, cohort: int, samples: int, rounds: int, every: int,
    test: int, epochs: int, edge_rounds: int, workers: int,
) -> dict[str, Any]:  # fmt: skip
    sgd = (
        f"epochs: {epochs}, batch: 32, lr: 0.05, momentum: 0.9, weight_decay: 0.0001, "
        f"milestones: [{2 * rounds // 3}]"
    )
    averaged = f"method={{name: fedavg, weighting: uniform, {sgd}}}"
    return {
        "scenes": {
            _LEVELS: lab(
                {
                    FEDAVG: [averaged],
                    FEDHM: [f"method={{name: fedhm, assignment: fixed, {sgd}}}"],
                    HETEROFL: [
                        "method={name: heterofl, rates: [1, 0.64, 0.5, 0.35], assignment: fixed, "
                        f"{sgd}}}"
                    ],
                    ALL_LOW: [averaged, f"task.model={_LOW}"],
                    ALL_NARROW: [averaged, f"task.model={_SMALL}"],
                },
                model=_MODEL, partition="iid", clients=clients, samples=samples, cohort=cohort,
                rounds=rounds, every=every, test=test, seeds=seeds, views=True,
            ),
            EDGE: edge(
                {"FedHM": "name: fedhm"}, seeds=seeds, rounds=edge_rounds, every=every
            ),
        },
        "workers": workers,
    }  # fmt: skip


_SCALES: Mapping[str, Mapping[str, Any]] = {
    "smoke": _settings(
        seeds=(0,), clients=4, cohort=2, samples=8, rounds=2, every=2, test=20, epochs=1,
        edge_rounds=2, workers=1,
    ),
    "small": _settings(
        seeds=(0, 1, 2), clients=20, cohort=10, samples=200, rounds=24, every=4, test=2000,
        epochs=1, edge_rounds=40, workers=2,
    ),
    "full": _settings(
        seeds=(0, 1, 2), clients=20, cohort=10, samples=2500, rounds=160, every=10, test=10_000,
        epochs=10, edge_rounds=100, workers=2,
    ),
}  # fmt: skip


_INTRO = (
    "FedHM gives every device a copy of the network whose layers have as low a rank as it needs, "
    "and multiplies out what comes back. Its authors tell parameters, multiply-adds, bytes and "
    "accuracy; seconds, joules and memory are hetsim's."
)


class FedHM:
    """FedHM: sizes and bytes beside its authors', accuracy by level, and joules on 60 devices."""

    def needs(self, scale: str) -> Sequence[Need]:
        """What can be counted, and all runs."""
        return (
            Need(comparison="low_rank"),
            Need(comparison="side_by_side", settings=_SCALES[scale]),
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        levels, fleet = Scene(tables, _LEVELS), Scene(tables, EDGE)
        signs = list(_signs(levels))
        found = [*costs.targets(tables), *(sign.target for sign in signs)]
        scenes = _SCALES[scale]["scenes"]
        return Page(
            title="FedHM",
            lead=lead("fedhm", _INTRO, signs, fleet, found),
            chapters=(
                targets(found),
                *costs.chapters(tables),
                learned(
                    levels, title="What is learned", base=FEDAVG,
                    intro="Ten classes of CIFAR-10 in equal shares. FedHM and HeteroFL: a quarter "
                    "of the devices at each of four levels, scored is the server's whole network.",
                ),
                _by_level(levels),
                taking_part(fleet),
                by_device(fleet),
                whole_runs(fleet),
                _protocol(scenes),
            ),
        )  # fmt: skip


# --- signs ----------------------------------------------------------------------------------------


def _signs(scene: Scene) -> Iterator[Sign]:
    ours, theirs = _range(scene, FEDHM), _range(scene, HETEROFL)
    yield Sign(
        what="Levels of FedHM lie closer together than HeteroFL's",
        differences=less(theirs, ours), holds=above,
    )  # fmt: skip
    small = _smallest(scene, FEDHM)
    yield Sign(
        what="FedHM's smallest level above HeteroFL's smallest",
        differences=less(small, _smallest(scene, HETEROFL)), holds=above,
    )  # fmt: skip
    yield Sign(
        what="FedHM's smallest level above the same network for all",
        differences=less(small, scene.late(ALL_LOW)), holds=above,
    )  # fmt: skip
    yield scene.sign(ALL_LOW, ALL_NARROW, "Low rank above narrow, for all, at about equal size")


def _range(scene: Scene, way: str) -> dict[int, float]:
    """Best level less worst, by seed."""
    views = list(scene.views(way).values())
    seeds = set[int]().union(*views) if views else set[int]()
    return {
        seed: max(view[seed] for view in views) - min(view[seed] for view in views)
        for seed in sorted(seeds)
    }


def _smallest(scene: Scene, way: str) -> dict[int, float]:
    views = scene.views(way)
    return views[list(views)[-1]] if views else {}


# --- chapters -------------------------------------------------------------------------------------


def _by_level(scene: Scene) -> Chapter:
    rows = [
        (
            way, level, spread(found.values(), 100.0),
            points(less(found, next(iter(scene.views(way).values())))),
        )
        for way in scene.ways
        for level, found in scene.views(way).items()
    ]  # fmt: skip
    return Chapter(
        title="Levels",
        parts=(
            "The network of each level, as it follows from the server's; the same test pictures.",
            Chart(
                name="levels", caption="Test accuracy by level, a dot a seed.",
                draw=lambda figure: figures.draw_views(figure, scene),
            ),
            Grid(
                columns=("way", "level", "accuracy, %", "to the largest level, points by seed"),
                rows=rows, source="views",
            ),
        ),
    )  # fmt: skip


def _protocol(scenes: Mapping[str, Any]) -> Chapter:
    return Chapter(
        title="Protocol",
        parts=(
            "Written before the runs that are shown. The authors train ResNet-18 and 34 at full "
            "width, ten epochs a round, in batches of 64, on all pictures with random crops and "
            "flips; two cores bear a quarter of the width, fewer pictures and rounds, and no "
            "augmentation. All networks normalise by the batch, as theirs do. Directions are "
            "compared, not accuracies.",
            written(scenes[_LEVELS]),
            written(scenes[EDGE]),
        ),
    )
