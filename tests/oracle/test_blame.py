"""Critical paths and bounds of real runs against what they must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.rng import rng
from hetsim.core.trace import Trace
from hetsim.federation.bottlenecks import bottlenecks
from hetsim.federation.critical import KINDS, Spans
from hetsim.federation.whatif import Outlook
from hetsim.learn.lab import CostOnlyLab
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.testing import check_books, play, tiny

TOPOLOGIES = sorted((Path(__file__).resolve().parents[2] / "topologies").glob("*.yaml"))
FEWER = {
    "million": (
        *(f"fleet[{place}].count=20" for place in range(10)), "task.data.train=2000",
        "selection.cohort=40",
    ),
}  # fmt: skip
"""What makes one that is too large for a test small."""
CLOSE = 1e-9
TWENTY = ("cost_only=true", "stop.rounds=3", "selection.cohort=20")
IDEAL = "100 Tbit/s"


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_a_synchronous_round_is_the_longest_of_its_clients_chains(path: Path) -> None:
    """And the path that is blamed for it is as long as the round, every one."""
    spec = load_topology(
        path,
        overrides=(
            "cost_only=true", "pace=sync", "stop.rounds=6", "method=fedavg",
            *FEWER.get(path.stem, ()),
        ),
    )  # fmt: skip
    scenario = resolve(spec)
    trace = play(scenario).trace
    check_books(trace, scenario)
    spans = Spans(trace)
    assert trace.rounds
    for row in trace.rounds:
        asked = [part for part in trace.participations if part.round == row["round"]]
        assert asked
        for part in asked:
            acts = spans.of(part)
            chain = sum(act.t1 - act.t0 for act in acts)
            assert chain == pytest.approx(part.t1 - part.t0, abs=CLOSE)
        joined = max(part.t1 for part in asked)
        closing = [
            span for span in trace.spans
            if span.actor == "server" and span.round == row["round"] and span.t0 >= joined
        ]  # fmt: skip
        aggregated = sum(span.t1 - span.t0 for span in closing)
        assert row["t1_s"] - joined == pytest.approx(aggregated, abs=CLOSE)
        assert_whole(trace, row)


def assert_whole(trace: Trace, row: dict[str, Any]) -> None:
    """A round's path leads from its start to its end, and its kinds add up."""
    path = [each for each in trace.critical if each["round"] == row["round"]]
    length = row["t1_s"] - row["t0_s"]
    assert sum(each["t1_s"] - each["t0_s"] for each in path) == pytest.approx(length, abs=CLOSE)
    kinds = sum(row[f"critical_{kind}_s"] for kind in KINDS)
    assert kinds == pytest.approx(length, abs=CLOSE)
    assert path[0]["t0_s"] == row["t0_s"]
    assert path[-1]["t1_s"] == row["t1_s"]


@pytest.mark.parametrize(
    "pace",
    [
        "{name: deadline, deadline: 200 ms}", "{name: deadline, deadline: 400 ms, late: steps}",
        "{name: over_selection, factor: 2.0}", "{name: fedasync}", "{name: fedbuff, buffer: 2}",
    ],
)  # fmt: skip
def test_paths_are_whole_at_every_pace(pace: str) -> None:
    trace = play(
        tiny("cost_only=true", "stop.rounds=12", "selection.cohort=2", "task.model=mlp",
             f"pace={pace}", "fleet[1].link.up=0.3 Mbit/s")
    ).trace  # fmt: skip
    assert len(trace.rounds) == 12
    for row in trace.rounds:
        assert_whole(trace, row)
    for row in trace.summary["what_if"]:
        assert 0.0 <= row["simulated_s_at_least"] < trace.summary["simulated_s"]


class Tried:
    """A cost-only run of three rounds of everybody, and what it says of wishes."""

    def __init__(self, *overrides: str, of: Scenario | None = None) -> None:
        scenario = of or tiny(*TWENTY, *overrides)
        run = scenario.world(CostOnlyLab())
        self.length = run.kernel.run(scenario.method().server(run), "server")
        run.finish(self.length)
        trace = run.kernel.trace
        trace.rounds = run.rows
        trace.devices = [
            {"device": node.name, "role": node.role} for node in run.kernel.nodes.values()
        ]
        spans = Spans(trace)
        self._outlook = Outlook(trace, spans, bottlenecks(run.kernel, spans))

    def least(self, device: str, change: str) -> float:
        """What the run takes at least."""
        return sum(self._outlook.rounds(device, change))


@pytest.mark.parametrize("rate", ["0.05 Mbit/s", "0.3 Mbit/s", "2 Mbit/s", "12 Mbit/s"])
def test_a_slow_uplink_of_its_own(rate: str) -> None:
    """The phone is alone in its cell; without its slow link the others' hold the round up."""
    least = Tried(f"fleet[1].link.up={rate}", "task.model=mlp").least("phone-0", "ideal uplink")
    ideal = Tried(f"fleet[1].link.up={IDEAL}", "task.model=mlp").length
    assert 0.95 * ideal <= least <= ideal * (1 + CLOSE)


@pytest.mark.parametrize("model", ["logistic", "mlp"])
@pytest.mark.parametrize("boards", [1, 2, 6])
@pytest.mark.parametrize("rate", ["0.2 Mbit/s", "2 Mbit/s", "10 Mbit/s"])
def test_a_slow_station_of_a_shared_cell(model: str, boards: int, rate: str) -> None:
    """It holds the others up too; without it they still have to share the cell."""

    def cell(up: str) -> Tried:
        return Tried(
            f"task.model={model}", f"fleet[0].count={boards}",
            "fleet[1].link={to: switch, rate: 900 Mbit/s}",
            f"fleet[2].link={{to: ap, up: {up}, down: 40 Mbit/s}}",
        )  # fmt: skip

    least = cell(rate).least("jetson-0", "ideal uplink")
    ideal = cell(IDEAL).length
    assert 0.95 * ideal <= least <= ideal * (1 + CLOSE)


@pytest.mark.parametrize("boards", [1, 6])
@pytest.mark.parametrize("rate", ["0.2 Mbit/s", "10 Mbit/s"])
def test_a_slow_downlink_is_bounded_from_below(boards: int, rate: str) -> None:
    def cell(down: str) -> Tried:
        return Tried(
            "task.model=mlp", f"fleet[0].count={boards}",
            f"fleet[2].link={{to: ap, up: 40 Mbit/s, down: {down}}}",
        )  # fmt: skip

    least = cell(rate).least("jetson-0", "ideal downlink")
    assert least <= cell(IDEAL).length * (1 + CLOSE)


def test_in_shorter_rounds_radios_stay_awake() -> None:
    """While the board sends for a quarter of a minute, the phones' radios fall asleep."""

    def mixed(up: str) -> Tried:
        phones = "{to: lte-cell, up: 12 Mbit/s, down: 40 Mbit/s}"
        return Tried(
            "task.model=mlp", f"fleet[0].link={phones}", f"fleet[1].link={phones}",
            f"fleet[2].link={{to: switch, up: {up}, down: 100 Mbit/s}}",
        )  # fmt: skip

    slow, ideal = mixed("0.01 Mbit/s"), mixed(IDEAL)
    least = slow.least("jetson-0", "ideal uplink")
    assert slow.length > 30.0
    assert 0.95 * ideal.length <= least <= ideal.length * (1 + CLOSE)


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_over_selection_is_bounded_from_below(factor: float) -> None:
    def first(up: str) -> Tried:
        return Tried(
            "selection.cohort=2", f"pace={{name: over_selection, factor: {factor}}}",
            "task.model=mlp", f"fleet[1].link.up={up}", "fleet[2].link={to: ap, rate: 1 Mbit/s}",
        )  # fmt: skip

    least = first("0.3 Mbit/s").least("phone-0", "ideal uplink")
    assert least <= first(IDEAL).length * (1 + CLOSE)


@pytest.mark.parametrize("deadline", ["300 ms", "700 ms", "2 s"])
@pytest.mark.parametrize("late", ["drop", "steps", "layers"])
def test_a_deadline_is_bounded_from_below(deadline: str, late: str) -> None:
    def limited(up: str) -> Tried:
        return Tried(
            f"pace={{name: deadline, deadline: {deadline}, late: {late}}}", "task.model=mlp",
            f"fleet[1].link.up={up}",
        )  # fmt: skip

    least = limited("0.2 Mbit/s").least("phone-0", "ideal uplink")
    assert least <= limited(IDEAL).length * (1 + CLOSE)


@pytest.mark.parametrize("pace", ["sync", "{name: hierarchical, edge_rounds: 2}"])
@pytest.mark.parametrize("rate", ["0.5 Mbit/s", "20 Mbit/s"])
def test_a_campus_is_bounded_from_below(pace: str, rate: str) -> None:
    """One board in the greenhouse sends slowly, to its gateway or over the common way up."""
    [path] = [path for path in TOPOLOGIES if path.stem == "gateways_campus"]

    def campus(up: str) -> Tried:
        overrides = (
            "cost_only=true", "stop.rounds=2", f"pace={pace}", "fleet[4].availability=always",
            "fleet[6].count=1", f"fleet[6].link={{to: greenhouse, up: {up}, down: 20 Mbit/s}}",
        )  # fmt: skip
        return Tried(of=resolve(load_topology(path, overrides=overrides)))

    usual, ideal = campus(rate), campus(IDEAL).length
    least = usual.least("greenhouse-pi-0", "ideal uplink")
    assert least <= usual.length
    assert least <= ideal * (1 + CLOSE)
    assert least >= 0.95 * ideal


PACES = ("sync", "{name: over_selection, factor: 1.5}", "{name: over_selection, factor: 2.0}",
         "{name: deadline, deadline: 2 s}")  # fmt: skip
SPEEDS = ("0.02 Mbit/s", "0.1 Mbit/s", "0.5 Mbit/s", "2 Mbit/s", "8 Mbit/s", "40 Mbit/s")
CELLS = ("ap", "lte-cell", "switch")


@pytest.mark.parametrize("seed", range(40))
def test_random_fleets_are_bounded_from_below(seed: int) -> None:
    """What is read off the trace is never more than what is simulated."""
    stream = rng(seed, "sim/wishes")

    def one(of: Sequence[str]) -> str:
        return of[int(stream.integers(len(of)))]

    pace, number = one(PACES), int(stream.integers(1, 6))
    cohort = max((number + 2) // 2, 1) if "over" in pace else 20
    boards = f"{{to: {one(CELLS)}, rate: {one(SPEEDS)}}}"
    phone = f"{{to: {one(CELLS)}, rate: {one(SPEEDS)}}}"
    speed, cell, model = one(SPEEDS), one(CELLS), one(("logistic", "mlp"))
    line = one(("3 Mbit/s", "300 Mbit/s"))

    def fleet(up: str, down: str) -> Tried:
        return Tried(
            f"pace={pace}", f"selection.cohort={cohort}", f"task.model={model}", f"seed={seed}",
            f"fleet[0].count={number}", f"fleet[0].link={boards}", f"fleet[1].link={phone}",
            f"fleet[2].link={{to: {cell}, up: {up}, down: {down}}}",
            f"network.links[0].bandwidth={line}",
        )  # fmt: skip

    usual = fleet(speed, speed)
    for change, ways in (("ideal uplink", (IDEAL, speed)), ("ideal downlink", (speed, IDEAL))):
        assert usual.least("jetson-0", change) <= fleet(*ways).length * (1 + CLOSE)


# --- pipelines ------------------------------------------------------------------------------------

SPLIT = ("task.model={name: mlp, hidden: [64, 64]}", "fleet[1].link.up=0.5 Mbit/s")
METHODS = {
    "dpfl": "{name: dpfl, cut: 1}",
    "ecofed": "{name: ecofed, cut: 1, bits: 32}",
    "overlap": "{name: ecofed, cut: 1, bits: 32, overlap: true}",
}


@pytest.mark.parametrize("method", METHODS)
def test_a_pipeline_is_blamed_on_all_its_stages(method: str) -> None:
    """The phone is far away and sends over half a megabit a second; its computing is nothing."""
    scenario = tiny(*TWENTY, *SPLIT, f"method={METHODS[method]}")
    trace = play(scenario).trace
    check_books(trace, scenario)
    for row in trace.rounds:
        assert_whole(trace, row)
    first = [each for each in trace.critical if each["round"] == 0]
    shares = {
        kind: sum(s["t1_s"] - s["t0_s"] for s in first if s["kind"] == kind)
        / trace.rounds[0]["t1_s"]
        for kind in ("uplink", "downlink", "compute", "server")
    }
    assert shares["uplink"] > 0.4
    assert shares["uplink"] + shares["downlink"] > 0.95
    assert 0.0 < shares["compute"] < 0.01
    assert 0.0 < shares["server"] < 0.01
    assert trace.rounds[0]["critical_device"] == "phone-0"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("device", "change", "overrides"),
    [
        ("phone-0", "ideal uplink", (f"fleet[1].link.up={IDEAL}",)),
        ("phone-0", "ideal downlink", (f"fleet[1].link.down={IDEAL}",)),
    ],
)
def test_an_ideal_link_in_a_pipeline(
    method: str, device: str, change: str, overrides: Sequence[str]
) -> None:
    given = (*SPLIT, f"method={METHODS[method]}")
    tried = Tried(*given)
    ideal = Tried(*given, *overrides).length
    least = tried.least(device, change)
    assert 0.7 * ideal <= least <= ideal * (1 + CLOSE)
    assert least < tried.length


@pytest.mark.parametrize("method", METHODS)
def test_an_ideal_server_in_a_pipeline(method: str) -> None:
    """Beside one that is a hundred times as fast."""
    given = (*SPLIT[:1], f"method={METHODS[method]}")
    tried = Tried(*given, "server.profile=raspberry_pi_zero_2_w")
    least = tried.least("server", "ideal CPU")
    assert least < 0.9 * tried.length
    assert least <= Tried(*given, "server.profile=core_ultra_265k").length * (1 + CLOSE)
