"""SPATL: what sending salient channels saves, what choosing them costs, and what is learned.

Bytes and operations beside what its authors printed, with the slips in their table; rounds and
accuracy beside FedAvg, FedProx, FedNova and SCAFFOLD; and what the article does not have: seconds,
joules and memory on 60 devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hetsim.report.numbers import NONE
from hetsim.report.published import _spatl_costs as costs
from hetsim.report.published._scene_chapters import (
    by_device,
    lead,
    learned,
    taking_part,
    targets,
    to_goal,
    whole_runs,
    written,
)
from hetsim.report.published._scenes import EDGE, Scene, edge, lab
from hetsim.report.published._seeds import Sign, above, less, spread
from hetsim.report.published.base import Chapter, Grid, Need, Page, Tables

_ALL, _SOME = "ten clients, all of them", "thirty clients, two fifths of them"
FEDAVG, FEDNOVA, FEDPROX, SCAFFOLD = "FedAvg", "FedNova", "FedProx", "SCAFFOLD"
SPATL, EVERY, SHARED, ZEROS = (
    "SPATL", "SPATL, all channels", "SPATL, shared predictor", "SPATL, zeros averaged",
)  # fmt: skip
_OWN = "own labels"
"""View of the mean accuracy of clients on the labels that they hold."""


def _ways(sgd: str) -> dict[str, list[str]]:
    ours = f"name: spatl, assignment: same, {sgd}"
    return {
        FEDAVG: [f"method={{name: fedavg, {sgd}}}"],
        FEDNOVA: [f"method={{name: fednova, {sgd}}}"],
        FEDPROX: [f"method={{name: fedprox, mu: 0.01, {sgd}}}"],
        SCAFFOLD: [f"method={{name: scaffold, weighting: samples, {sgd}}}"],
        SPATL: [f"method={{{ours}}}"],
        EVERY: [f"method={{{ours}, selection: none}}"],
        SHARED: [f"method={{{ours}, private: false}}"],
        ZEROS: [f"method={{{ours}, zeros: true}}"],
    }


def _settings(
    *, seeds: Sequence[int], clients: tuple[int, int], cohort: int, samples: tuple[int, int],
    rounds: int, every: int, test: int, epochs: int, edge_rounds: int, workers: int,
) -> dict[str, Any]:  # fmt: skip
    sgd = f"epochs: {epochs}, batch: 32, lr: 0.01, momentum: 0.9"
    ways = _ways(sgd)
    slips = (
        f"method={{name: scaffold, weighting: samples, divisor: steps, mean: participants, {sgd}}}"
    )

    def scene(place: int, asked: int, chosen: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        held = samples[place]
        return lab(
            chosen, model="{name: lenet5, padding: 0}", clients=clients[place], samples=held,
            partition=f"{{name: dirichlet, alpha: 0.1, minimum: {held}}}", cohort=asked,
            rounds=rounds, every=every, test=test, seeds=seeds, views=True, **more,
        )  # fmt: skip

    return {
        "scenes": {
            _ALL: scene(0, clients[0], ways, goal="common"),
            _SOME: scene(
                1, cohort,
                {FEDAVG: ways[FEDAVG], SCAFFOLD: [slips], SPATL: ways[SPATL],
                 SHARED: ways[SHARED]},
            ),
            EDGE: edge(
                {SCAFFOLD: "name: scaffold", SPATL: "name: spatl",
                 "SPATL, same share": "name: spatl, assignment: same",
                 "SPATL, agent": "name: spatl, selection: agent"},
                seeds=seeds, rounds=edge_rounds, every=every,
            ),
        },
        "workers": workers,
    }  # fmt: skip


_SCALES: Mapping[str, Mapping[str, Any]] = {
    "smoke": _settings(
        seeds=(0,), clients=(3, 6), cohort=2, samples=(10, 10), rounds=2, every=1, test=20,
        epochs=1, edge_rounds=2, workers=1,
    ),
    "small": _settings(
        seeds=(0, 1, 2), clients=(10, 30), cohort=12, samples=(500, 160), rounds=40, every=4,
        test=2000, epochs=3, edge_rounds=40, workers=2,
    ),
    "full": _settings(
        seeds=(0, 1, 2), clients=(10, 30), cohort=12, samples=(5000, 1600), rounds=200, every=5,
        test=10_000, epochs=5, edge_rounds=100, workers=2,
    ),
}  # fmt: skip
_NEARLY = 0.9
_LOW = (
    "the goal is what the least accurate way reaches too, and both are there at one of their first "
    "scores"
)
_EQUALLY = "; clients hold equally many samples here, with which FedNova is FedAvg"
_INTRO = (
    "SPATL shares an encoder, leaves the predictor with each client, corrects drift by control "
    "variates, and sends only the channels that an agent, or a simpler rule, finds salient. Its "
    "authors tell rounds, bytes and accuracy; seconds, joules and memory are hetsim's."
)


class Spatl:
    """SPATL: bytes beside its authors', rounds and accuracy, and joules on 60 devices."""

    def needs(self, scale: str) -> Sequence[Need]:
        """What can be counted, and all runs."""
        return (
            Need(comparison="salient"),
            Need(comparison="side_by_side", settings=_SCALES[scale]),
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        every, some, fleet = (Scene(tables, name) for name in (_ALL, _SOME, EDGE))
        slowly = _private(every)
        signs = [*_signs(every, slowly), *_sooner(every, slowly), *_partial(some)]
        found = [*costs.targets(tables), *(sign.target for sign in signs)]
        return Page(
            title="SPATL",
            lead=lead("spatl", _INTRO, signs, fleet, found),
            chapters=(
                targets(found),
                *costs.chapters(tables),
                learned(
                    every, title="Ten clients, all of them in every round", base=FEDAVG, name="all",
                    intro="CIFAR-10, labels very unevenly shared (Dirichlet 0.1). SPATL's accuracy "
                    "is the mean of the clients' models on all labels, each with a predictor that "
                    "knows those of its client best.",
                ),
                _own(every),
                to_goal(every),
                learned(
                    some, title="Thirty clients, two fifths of them in a round", base=FEDAVG,
                    name="some",
                    intro="The same with fewer at a time; SCAFFOLD here divides by steps, as if "
                    "there were no momentum, and by participants, as the authors' code has it.",
                ),
                taking_part(fleet),
                by_device(fleet),
                whole_runs(fleet),
                _protocol(_SCALES[scale]["scenes"]),
            ),
        )  # fmt: skip


def _signs(scene: Scene, slowly: str) -> Iterator[Sign]:
    rounds = {
        way: {
            row["seed"]: float(row["rounds"]) for row in scene.table("goals", way) if row["reached"]
        }
        for way in scene.ways
    }
    for ours in (SPATL, SCAFFOLD):
        for theirs in (FEDAVG, FEDNOVA):
            yield Sign(
                what=f"{ours} is at the common goal in fewer rounds than {theirs}",
                differences=less(rounds.get(theirs, {}), rounds.get(ours, {})),
                holds=above,
                unit="rounds",
                cause=(slowly if ours == SPATL else _LOW) + _EQUALLY * (theirs == FEDNOVA),
            )
    yield Sign(
        what="Private predictors raise accuracy on clients' own labels",
        differences=less(_local(scene, SPATL), _local(scene, SHARED)),
        holds=above,
    )


def _private(scene: Scene) -> str:
    """Why private predictors seem to learn slowly."""
    own, shared = (spread(_local(scene, way).values(), 100.0) for way in (SPATL, SHARED))
    return (
        "scored are clients' models on all labels, and a private predictor knows those of its "
        f"client; on these SPATL has come to {own} %, and with a shared predictor to {shared} %"
    )


def _sooner(scene: Scene, slowly: str) -> Iterator[Sign]:
    """Signs at a goal that FedAvg sets; looked for after the runs had been seen."""
    theirs = _rounds_to_nearly(scene, FEDAVG)
    for ours in (SCAFFOLD, SHARED, SPATL):
        gained = less(theirs, _rounds_to_nearly(scene, ours))
        tied = "scores are some rounds apart, and in a seed both are there at the same one"
        yield Sign(
            what=f"{ours} is at {_NEARLY:.0%} of FedAvg's last accuracy in fewer rounds",
            differences=gained,
            holds=above,
            unit="rounds",
            cause=slowly if ours == SPATL else tied if 0.0 in gained else "",
        )
    yield Sign(
        what=f"FedProx is at {_NEARLY:.0%} of FedAvg's last accuracy no sooner",
        differences=less(_rounds_to_nearly(scene, FEDPROX), theirs),
        holds=lambda differences: min(differences) >= 0.0,
        unit="rounds",
    )


def _rounds_to_nearly(scene: Scene, way: str) -> dict[int, float]:
    """Round of the first score near FedAvg's last, by seed; never is one score after the last."""
    last = scene.ends(FEDAVG, "final")
    found: dict[int, float] = {}
    for seed, rows in scene.curves(way).items():
        step = rows[-1]["round"] - (rows[-2]["round"] if len(rows) > 1 else 0)
        if seed in last:
            there = (row["round"] for row in rows if row["accuracy"] >= _NEARLY * last[seed])
            found[seed] = float(next(there, rows[-1]["round"] + step))
    return found


def _partial(scene: Scene) -> Iterator[Sign]:
    yield Sign(
        what="With few clients a round SCAFFOLD, as coded, falls below FedAvg",
        differences=less(scene.late(FEDAVG), scene.late(SCAFFOLD)), holds=above,
    )  # fmt: skip
    yield Sign(
        what="With few clients a round SPATL stays above SCAFFOLD, as coded",
        differences=less(scene.late(SPATL), scene.late(SCAFFOLD)), holds=above,
    )  # fmt: skip


def _local(scene: Scene, way: str) -> dict[int, float]:
    return scene.views(way).get(_OWN, {})


def _own(scene: Scene) -> Chapter:
    return Chapter(
        title="On clients' own labels",
        parts=(
            "What a client would see: its model on test pictures, each label weighted as in its "
            "own data, mean over clients.",
            Grid(
                columns=("way", "accuracy on own labels, %", "on all labels, %"),
                rows=[
                    (
                        way, spread(_local(scene, way).values(), 100.0),
                        spread(scene.late(way).values(), 100.0),
                    )
                    for way in scene.ways
                    if _local(scene, way)
                ] or [(NONE, NONE, NONE)],
                source="views",
            ),
        ),
    )  # fmt: skip


def _protocol(scenes: Mapping[str, Any]) -> Chapter:
    return Chapter(
        title="Protocol",
        parts=(
            "Written before the runs that are shown. The authors train ResNet-20, ResNet-32 and "
            "VGG-11 on all of CIFAR-10; two cores bear their two-layer network and a tenth of the "
            "pictures. SPATL keeps the share of channels that their claim for VGG-11 implies "
            "(0.7752), the same in all layers, but on the fleet, where it follows from the "
            "hardware; the agent is played there. Directions are compared, not accuracies. The "
            f"signs at {_NEARLY:.0%} of FedAvg's last accuracy were added after the runs had been "
            "seen: the common goal turned out low; there, never counts as one score after the "
            "last.",
            *(written(scenes[name]) for name in (_ALL, _SOME, EDGE)),
        ),
    )
