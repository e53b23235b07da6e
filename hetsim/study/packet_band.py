"""Fluid network models beside a packet-level simulator: how near they come to real TCP.

For each flow, |ln(ours / theirs)| of the durations; for each scenario the mean, the largest, and
the ratio of the ends of the last flows. Reported, not judged: a fluid is not TCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Literal

from hetsim.core.errors import SpecError
from hetsim.spec import oracle
from hetsim.study.explain import Table
from hetsim.study.replay import Replay

PACKET_FILE = "packet_level.json"
_PATIENCE = 10.0
"""A fluid flow may end this many times later than the packets did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A fluid model beside a packet-level simulator, on one scenario.

    Attributes:
        scenario, model: what was played.
        flows: how many.
        mean, largest: of |ln(duration / packet-level duration)| over the flows.
        makespan: end of the last flow, as a share of the packet-level one.
    """

    scenario: str
    model: str
    flows: int
    mean: float
    largest: float
    makespan: float


def packet_bands(folder: Path) -> list[Band]:
    """`maxmin` and `lv08` beside a packet-level simulator, for each scenario it has played.

    Raises:
        SpecError: a file is wrong, or a scenario is missing.
    """
    models: tuple[Literal["maxmin", "lv08"], ...] = ("maxmin", "lv08")
    bands: list[Band] = []
    for case in oracle.read_packet_level(folder / PACKET_FILE).cases:
        scenario = oracle.read_scenario(folder / "scenarios" / f"{case.scenario}.json")
        enough = _PATIENCE * max(scenario.horizon, *case.finish.values())
        for model in models:
            played = scenario.model_copy(update={"model": model, "horizon": enough})
            bands.append(_band(played, case, folder))
    return bands


def _band(scenario: oracle.Scenario, case: oracle.PacketCase, folder: Path) -> Band:
    replay = Replay(scenario)
    replay.play()
    errors: list[float] = []
    last = 0.0
    for name, finish in case.finish.items():
        ours = replay.records.get(name)
        if ours is None or ours.finish is None or ours.start is None or finish <= ours.start:
            what = f"{name} has no duration to compare in scenario {scenario.id}."
            where = str(folder / PACKET_FILE)
            raise SpecError(what, where=where, key="finish_s", remedy="Mend one of the two files.")
        errors.append(abs(log((ours.finish - ours.start) / (finish - ours.start))))
        last = max(last, ours.finish)
    return Band(
        scenario=case.scenario, model=scenario.model, flows=len(errors),
        mean=sum(errors) / len(errors), largest=max(errors),
        makespan=last / max(case.finish.values()),
    )  # fmt: skip


def band_table(bands: Sequence[Band]) -> Table:
    """One row a scenario, and the means of both models."""
    by_case: dict[str, dict[str, Band]] = {}
    for band in bands:
        by_case.setdefault(band.scenario, {})[band.model] = band
    rows: list[tuple[str, ...]] = []
    for case, pair in by_case.items():
        row = [case, str(pair["maxmin"].flows)]
        for band in (pair["maxmin"], pair["lv08"]):
            row += [f"{band.mean:.3f}", f"{band.largest:.3f}", f"{band.makespan:.3f}"]
        rows.append(tuple(row))
    means = [[each.mean for each in bands if each.model == model] for model in ("maxmin", "lv08")]
    average = [f"{sum(each) / len(each):.3f}" for each in means]
    rows.append(("mean", "", average[0], "", "", average[1], "", ""))
    columns = (
        "scenario", "flows", "maxmin: mean", "largest", "makespan", "lv08: mean", "largest",
        "makespan",
    )  # fmt: skip
    title = "Beside packets, not judged: |ln(ours / theirs)| a flow, makespans"
    return Table(title, columns, rows)
