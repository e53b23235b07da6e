"""Plans beside enumeration: how much of the true Pareto front a search finds, and how dearly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from hetsim.study.front import hypervolume
from hetsim.study.plan import Asked, plan
from hetsim.study.planned import RESULT, Planned
from hetsim.study.simulate import Settings, run

TOPOLOGY = """\
fleet:
  - {profile: raspberry_pi_4b, name: pi4, count: 4, link: {to: hall, rate: "40 Mbit/s"}}
  - {profile: raspberry_pi_5, name: pi5, count: 2, link: {to: hall, rate: "60 Mbit/s"}}
  - {profile: jetson_tx2, name: tx2, count: 1, link: {to: hall, rate: "80 Mbit/s"}}
network:
  nodes: {hall: {technology: wifi, power: "6 W"}, edge: {technology: ethernet}}
  links:
    - between: [hall, edge]
      bandwidth: "20 Mbit/s"
      latency: "5 ms"
      power: {idle: "3 W", busy: "5 W"}
server: {profile: core_ultra_265k, at: edge}
task: {data: digits, model: {name: small_cnn, width: 16}, partition: iid}
method: {name: fedavg, epochs: 2, batch: 10, lr: 0.02, momentum: 0.9}
selection: {name: random, cohort: 20}
stop: {rounds: 3}
"""
VARY = (
    "fleet[pi4].count=0,2,4,8", "fleet[pi5].count=0,1,2,4", "fleet[tx2].count=0,1,2,3",
    "governor=performance,powersave,schedutil",
    "server.profile=core_ultra_265k,jetson_orin_nano_8gb,raspberry_pi_5",
    "network.nodes.hall={technology: wifi, power: 6 W},{technology: ethernet, power: 12 W},"
    "{technology: lte, power: 4 W}",
)  # fmt: skip
"""1,728 configurations, of which 27 have no device."""
PRICES = (
    "pi4=75", "pi5=90", "tx2=400", "core_ultra_265k=900", "jetson_orin_nano_8gb=250",
    "raspberry_pi_5=90", "wifi=40", "ethernet=80", "lte=150",
)  # fmt: skip
GOALS = ("time<=5 s", "energy<=160 J", "price<=2400")
"""A box around the true front, which is then the reference of the hypervolume."""
BOX = (5.0, 160.0, 2400.0)
SHARE, STEPS = 0.15, 36
"""Of the configurations, that may be looked at; of them, those that steps may take."""


def planned(folder: Path, **more: Any) -> Planned:
    path = folder.parent / "case.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    asked = {"goals": GOALS, "vary": VARY, "prices": PRICES} | more
    return plan(Asked(topology=str(path), **asked), out=folder)


def covered(found: Planned) -> float:
    return hypervolume([each.vector(found.objectives) for each in found.front], BOX)


def test_a_search_comes_close_to_enumeration_on_a_corner_of_the_case(tmp_path: Path) -> None:
    corner: dict[str, Any] = {
        "vary": VARY[1:4], "overrides": ("server.profile=raspberry_pi_5", "fleet[pi4].count=2")
    }  # fmt: skip
    whole = planned(tmp_path / "whole", **corner)
    found = planned(tmp_path / "found", **corner, evaluations=24)
    assert whole.exact
    assert len(found.candidates) < len(whole.candidates) == 48
    assert covered(found) > 0.8 * covered(whole) > 0.0


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(3600)
def test_plan(tmp_path: Path, row: Callable[..., None]) -> None:
    """Five searches, beside the front of all 1,728; then every file of a front is run."""
    whole = planned(tmp_path / "whole", evaluations=10_000)
    assert whole.exact
    most = int(SHARE * len(whole.candidates))
    found = [
        planned(tmp_path / f"seed{seed}", evaluations=most - STEPS, plan_seed=seed)
        for seed in range(5)
    ]
    shares = [covered(each) / covered(whole) for each in found]
    looked = [len(each.candidates) / len(whole.candidates) for each in found]
    true = {each.point for each in whole.front}
    row(
        "plan: hypervolume found / of the true front", mean(shares), 0.9, at_least=True,
        spread=(min(shares), max(shares)), ours=f"{len(found)} searches",
        theirs=f"all {len(whole.candidates):,}, of which {len(true)} are the front",
        note=f"{mean(len(true & {e.point for e in each.front}) for each in found):.0f} of them",
    )  # fmt: skip
    row(
        "plan: configurations looked at / all", mean(looked), SHARE,
        spread=(min(looked), max(looked)),
        note=f"{mean(each.played for each in found):.0f} of them were played",
    )  # fmt: skip
    told = json.loads((found[0].folder / RESULT).read_text("utf-8"))
    differ = 0
    for each in told["front"]:
        alone = run(
            found[0].folder / each["file"], out=tmp_path / "alone", force=True,
            overrides=("cost_only=true",), settings=Settings(report=False),
        ).summary  # fmt: skip
        values = each["values"]
        taken = (alone["simulated_s"], alone["energy_j"]["total"])
        differ += taken != (values["time_s"], values["energy_j"])
    row("plan: files of a front that re-run to other numbers", differ, 0)
