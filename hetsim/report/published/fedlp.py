"""FedLP: what leaving out layers saves, what it costs, and what it takes on real boards and phones.

Parameters and multiply-adds of every scheme beside what its authors printed; accuracy with equal
and with sorted labels; and what the article does not have: seconds, joules and memory on 60
devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mean
from typing import Any

from hetsim.report.published import _fedlp_costs as costs
from hetsim.report.published._scene_chapters import (
    by_device,
    lead,
    learned,
    taking_part,
    targets,
    whole_runs,
    written,
)
from hetsim.report.published._scenes import EDGE, LAST, Scene, edge, lab
from hetsim.report.published._seeds import Sign, less, points, spread
from hetsim.report.published.base import Chapter, Need, Page, Tables

_EQUAL, _SORTED = "equal labels", "sorted labels"
FEDAVG = "FedAvg"
_RATES = (0.1, 0.3, 0.5, 0.7)
_PROPORTIONS = {
    "1": [0.1, 0.1, 0.1, 0.1, 0.6], "u": [0.2, 0.2, 0.2, 0.2, 0.2], "5": [0.6, 0.1, 0.1, 0.1, 0.1],
}  # fmt: skip
"""Shares of devices at each level, the whole network first."""
_POINT = 0.01
_GUESSED = 0.1
"""Accuracy of whoever guesses among ten classes."""


def _homo(rate: float) -> str:
    return f"Homo({rate:g})"


def _hetero(name: str) -> str:
    return f"Hetero({name})"


def _ways(sgd: str) -> dict[str, list[str]]:
    return {
        FEDAVG: [f"method={{name: fedavg, weighting: uniform, {sgd}}}"],
        **{_homo(rate): [f"method={{name: fedlp, preserve: {rate}, {sgd}}}"] for rate in _RATES},
        **{
            _hetero(name): [
                "method={name: fedlp, scheme: heterogeneous, depths: [8, 5, 4, 3, 2], "
                f"assignment: fixed, proportions: {shares}, {sgd}}}"
            ]
            for name, shares in _PROPORTIONS.items()
        },
    }


def _settings(
    *, seeds: Sequence[int], clients: int, cohort: int, samples: int, rounds: int, every: int,
    test: int, epochs: int, edge_rounds: int, workers: int,
) -> dict[str, Any]:  # fmt: skip
    ways = _ways(f"epochs: {epochs}, batch: 20, lr: 0.01, momentum: 0.9")
    few = (FEDAVG, _homo(0.1), _homo(0.7), _hetero("u"))

    def scene(partition: str, names: Sequence[str]) -> dict[str, Any]:
        return lab(
            {name: ways[name] for name in names}, model="fedlp_cnn", partition=partition,
            clients=clients, samples=samples, cohort=cohort, rounds=rounds, every=every, test=test,
            seeds=seeds,
        )  # fmt: skip

    return {
        "scenes": {
            _EQUAL: scene("iid", list(ways)),
            _SORTED: scene("{name: shards, per_client: 2}", few),
            EDGE: edge(
                {
                    "FedLP, layers sent": "name: fedlp",
                    "FedLP, layers held": "name: fedlp, scheme: heterogeneous",
                },
                seeds=seeds, rounds=edge_rounds, every=every,
            ),
        },
        "workers": workers,
    }  # fmt: skip


_SCALES: Mapping[str, Mapping[str, Any]] = {
    "smoke": _settings(
        seeds=(0,), clients=10, cohort=2, samples=10, rounds=2, every=2, test=20, epochs=1,
        edge_rounds=2, workers=1,
    ),
    "small": _settings(
        seeds=(0, 1, 2), clients=50, cohort=10, samples=60, rounds=20, every=4, test=2000,
        epochs=2, edge_rounds=40, workers=2,
    ),
    "full": _settings(
        seeds=(0, 1, 2), clients=100, cohort=10, samples=500, rounds=200, every=10, test=10_000,
        epochs=5, edge_rounds=100, workers=2,
    ),
}  # fmt: skip
_INTRO = (
    "FedLP leaves out whole layers: of what devices send, each with a probability (*Homo*, by the "
    "share that is sent), or of what they hold, by their level (*Hetero*, by the level that most "
    "have, u for equal shares). Its authors tell parameters and multiply-adds; seconds, joules and "
    "memory are hetsim's."
)


class FedLP:
    """FedLP: cost columns beside its authors', accuracy by scheme, and joules on 60 devices."""

    def needs(self, scale: str) -> Sequence[Need]:
        """What can be counted, and all runs."""
        return (
            Need(comparison="layer_wise"),
            Need(comparison="side_by_side", settings=_SCALES[scale]),
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        equal, skewed, fleet = (Scene(tables, name) for name in (_EQUAL, _SORTED, EDGE))
        signs = [*_signs(equal), *_skewed(skewed)]
        found = [*costs.targets(tables), *(sign.target for sign in signs)]
        return Page(
            title="FedLP",
            lead=lead("fedlp", _INTRO, signs, fleet, found),
            chapters=(
                targets(found),
                *costs.chapters(tables),
                learned(
                    equal, title="What is learned from equal labels", base=FEDAVG, name="equal",
                    intro="CIFAR-10, a random share for every device; scored is the whole network.",
                ),
                learned(
                    skewed, title="What is learned from sorted labels", base=FEDAVG, name="sorted",
                    intro="The same, each device with two runs of the sorted labels.",
                ),
                taking_part(fleet),
                by_device(fleet),
                whole_runs(fleet),
                _protocol(_SCALES[scale]["scenes"]),
            ),
        )  # fmt: skip


def _signs(scene: Scene) -> Iterator[Sign]:
    whole = scene.late(FEDAVG)
    for rate in _RATES[1:]:
        yield Sign(
            what=f"{_homo(rate)} loses at most two points to FedAvg",
            differences=less(scene.late(_homo(rate)), whole),
            holds=lambda differences: mean(differences) >= -2 * _POINT,
            wanted="in the mean",
            cause=_early(scene),
        )
    for rate in _RATES[1:]:
        yield scene.sign(_homo(rate), _homo(0.1))
    for more, fewer in (("5", "u"), ("u", "1")):
        sign = scene.sign(_hetero(more), _hetero(fewer))
        yield replace(sign, cause=_mixed(scene, _hetero(more), _hetero(fewer)))


def _early(scene: Scene) -> str:
    """Why a way is behind FedAvg when few rounds were played."""
    curves = scene.curves(FEDAVG).values()
    if not curves:
        return ""
    gain = mean(rows[-1]["accuracy"] - rows[-LAST:][0]["accuracy"] for rows in curves)
    return (
        "a layer that fewer send follows fewer devices, and the runs end while all still learn: "
        f"from the first to the last of the scores that count FedAvg gains {points([gain])} points"
    )


def _mixed(scene: Scene, *ways: str) -> str:
    """Why levels are not in order when few rounds were played."""
    jumps = [
        abs(now["accuracy"] - before["accuracy"])
        for way in ways
        for rows in scene.curves(way).values()
        for before, now in pairwise(rows)
    ]
    return (
        (
            "the last layers of the network that is scored are trained at its largest level alone, "
            "and all others fit what they send to heads of their own, so that scores move by up to "
            f"{100.0 * max(jumps):.1f} points from one to the next"
        )
        if jumps
        else ""
    )


def _skewed(scene: Scene) -> Iterator[Sign]:
    whole = scene.late(FEDAVG)
    yield Sign(
        what=f"With sorted labels {_homo(0.1)} loses more than 15 points to FedAvg",
        differences=less(scene.late(_homo(0.1)), whole),
        holds=lambda differences: max(differences) < -15 * _POINT,
        cause=_little(whole),
    )
    yield Sign(
        what=f"With sorted labels {_homo(0.7)} loses at most one point",
        differences=less(scene.late(_homo(0.7)), whole),
        holds=lambda differences: mean(differences) >= -_POINT,
        wanted="in the mean",
        cause=_little(whole),
    )


def _little(whole: Mapping[int, float]) -> str:
    """Why little can be lost where little was learned."""
    if not whole:
        return ""
    over = points([mean(whole.values()) - _GUESSED])
    return (
        f"FedAvg itself has come to {spread(whole.values(), 100.0)} %, {over} points from guessing"
    )


def _protocol(scenes: Mapping[str, Any]) -> Chapter:
    return Chapter(
        title="Protocol",
        parts=(
            "Written before the runs that are shown, but for the learning rate. The authors have "
            "100 devices of 500 pictures, 200 rounds of five epochs, and Adam; hetsim trains by "
            "SGD, and two cores bear fewer devices, pictures and rounds. With a rate of 0.05 the "
            "loss of all Hetero ways was no longer finite after some rounds; 0.01, the rate of the "
            "authors' own SGD, was then tried with seed 9, which is not among those shown, and "
            "all was played again. Their mixed labels (a twentieth of the pictures equally shared) "
            "are sorted ones here. Directions are compared, not accuracies.",
            *(written(scenes[name]) for name in (_EQUAL, _SORTED, EDGE)),
        ),
    )
