"""Times and joules of network and compute scenarios against two independent solvers.

SimGrid's answers are in the shared folder; `filling` answers the random ones. What is tested is the
sharing that simulations use: weights, caps, reverse traffic, changing capacities, cancellation,
kills.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hetsim.spec.oracle import Scenario
from hetsim.study.packet_band import packet_bands
from hetsim.study.replay import Replay
from hetsim.study.validate_network import TOLERANCE, validate_network
from tests.oracle.filling import Filling
from tests.oracle.random_scenarios import HORIZON, scenario

RANDOM = 300
CLOSE = 1e-9
Json = dict[str, Any]


def replayed(about: Json) -> Replay:
    replay = Replay(Scenario.model_validate_json(json.dumps(about)))
    replay.play()
    return replay


def agree(about: Json) -> Filling:
    """Play `about` twice and compare everything."""
    answer, replay = Filling(about), replayed(about)
    for name, record in replay.records.items():
        at = (about["id"], name)
        start, finish = answer.start[name], answer.finish[name]
        assert record.state == answer.state[name], at
        assert (record.start is None, record.finish is None) == (start is None, finish is None), at
        duration = 1e-3
        if start is not None and finish is not None:
            duration = max(finish - start, duration)
        for ours, theirs in ((record.start, start), (record.finish, finish)):
            assert ours is None or ours == pytest.approx(theirs, rel=0.0, abs=CLOSE * duration), at
    assert replay.joules() == pytest.approx(answer.joules, rel=CLOSE), about["id"]
    return answer


def test_every_scenario_of_the_oracle(shared: Path) -> None:
    validation = validate_network(shared / "oracle")
    assert len(validation.comparisons) >= 55
    assert sum(each.activities for each in validation.comparisons) >= 3853
    for each in validation.comparisons:
        assert each.passed, each
        assert each.times < CLOSE < TOLERANCE, each


def test_fluid_models_lie_in_the_band_of_packets(shared: Path) -> None:
    bands = packet_bands(shared / "oracle")
    assert len(bands) == 22
    for model in ("maxmin", "lv08"):
        means = [band.mean for band in bands if band.model == model]
        assert sum(means) / len(means) == pytest.approx(0.14, abs=0.005), "as the oracle's README"


@pytest.mark.parametrize("part", range(3))
def test_random_scenarios(part: int) -> None:
    states: Counter[str] = Counter()
    for seed in range(part * RANDOM // 3, (part + 1) * RANDOM // 3):
        states.update(agree(scenario(seed)).state.values())
    assert min(states[state] for state in ("done", "cancelled", "failed", "skipped")) > 20


def test_the_random_scenarios_have_everything() -> None:
    seen: Counter[str] = Counter()
    for about in map(scenario, range(RANDOM)):
        seen[about["network_model"]] += 1
        seen.update(link["duplex"] for link in about["links"])
        seen.update(event["type"] for event in about["events"])
        seen.update(f"{link['latency_s'] == 0.0} latency" for link in about["links"])
        bandwidths = {link["id"]: link["bandwidth_Bps"] for link in about["links"]}
        for event in about["events"]:
            if event["type"] == "link_bandwidth":
                new = event["bandwidth_Bps"]
                seen[
                    "outage" if not new else "up" if new > bandwidths[event["link"]] else "down"
                ] += 1
        for each in about["activities"]:
            seen[each["type"]] += 1
            seen["after"] += bool(each["after"])
            seen["nothing"] += each.get("bytes", each.get("flops")) == 0
            seen["to itself"] += len(each.get("path", "ab")) == 1
            seen["cap"] += bool(each.get("rate_cap_Bps"))
        instants = Counter(event["t_s"] for event in about["events"])
        seen["several at once"] += max(instants.values(), default=0) > 1
    wanted = ["maxmin", "maxmin_inverse_latency", "lv08", "full", "shared", "link_bandwidth",
              "pstate", "cancel", "node_off", "node_on", "True latency", "outage", "up", "down",
              "flow", "compute", "after", "nothing", "to itself", "cap",
              "several at once"]  # fmt: skip
    assert all(seen[what] >= 20 for what in wanted), {what: seen[what] for what in wanted}


# --- by hand -------------------------------------------------------------------------------------


POINTS = [
    {"flops_per_s": 10.0, "idle_W": 1.0, "epsilon_W": 2.0, "all_cores_W": 6.0},
    {"flops_per_s": 5.0, "idle_W": 0.5, "epsilon_W": 1.0, "all_cores_W": 2.0},
]


def by_hand(
    *activities: Json, events: list[Json] | None = None, duplex: str = "full",
    model: str = "maxmin", horizon: float = HORIZON, latency: float = 0.5,
) -> Json:  # fmt: skip
    """Two computers of two cores and a line of 100 bytes/s between them."""
    nodes = [
        {"id": name, "cores": 2, "pstates": POINTS, "pstate": 0, "off_W": 0.25} for name in "ab"
    ]
    line = {"id": "l", "a": "a", "b": "b", "bandwidth_Bps": 100.0, "latency_s": latency,
            "duplex": duplex, "idle_W": 1.0, "busy_W": 3.0}  # fmt: skip
    full = [{"start_s": 0.0, "after": [], **each} for each in activities]
    return {"format": "hetsim-oracle/1", "id": "by hand", "network_model": model,
            "horizon_s": horizon, "nodes": nodes, "links": [line], "activities": full,
            "events": events or []}  # fmt: skip


def flow(name: str, size: float, **more: Any) -> Json:
    return {
        "id": name,
        "type": "flow",
        "path": ["a", "b"],
        "bytes": size,
        "rate_cap_Bps": None,
        **more,
    }


def task(name: str, flops: float, **more: Any) -> Json:
    return {"id": name, "type": "compute", "node": "a", "flops": flops, **more}


def test_a_link_that_gets_faster_speeds_a_flow_up() -> None:
    event = {"t_s": 1.5, "type": "link_bandwidth", "link": "l", "bandwidth_Bps": 400.0}
    for model, wait, rate in (("maxmin", 0.5, 1.0), ("lv08", 6.505, 0.97)):
        at = event | {"t_s": wait + 1.0}
        about = by_hand(flow("f", 500.0), events=[at], model=model)
        agree(about)
        late = replayed(about).records["f"].finish
        assert late == pytest.approx(wait + 1.0 + (500.0 - 100.0 * rate) / (400.0 * rate))


def test_an_outage_stops_a_flow_and_its_end_lets_it_go_on() -> None:
    outage = [
        {"t_s": t, "type": "link_bandwidth", "link": "l", "bandwidth_Bps": bandwidth}
        for t, bandwidth in ((1.5, 0.0), (11.5, 100.0))
    ]
    about = by_hand(flow("f", 300.0), events=outage)
    agree(about)
    replay = replayed(about)
    assert replay.records["f"].finish == pytest.approx(13.5)
    assert replay.joules()["l:fwd"] == pytest.approx(HORIZON * 1.0 + 3.0 * 2.0)


def test_what_ends_at_the_horizon_has_ended() -> None:
    about = by_hand(flow("f", 350.0), task("t", 10.0, start_s=4.0), horizon=4.0)
    records = replayed(about).records
    assert records["f"].state == "done"
    assert records["f"].finish == pytest.approx(4.0)
    assert (records["t"].start, records["t"].state) == (4.0, "running")
    agree(about)


def test_a_node_that_is_off_refuses_and_takes_work_again() -> None:
    events = [
        {"t_s": t, "type": f"node_{way}", "node": "a"} for t, way in ((2.0, "off"), (6.0, "on"))
    ]
    activities = [
        task("killed", 100.0), task("refused", 10.0, start_s=3.0), task("taken", 10.0, start_s=6.0),
        flow("child", 10.0, after=["killed"]), task("grandchild", 1.0, after=["child", "taken"]),
        flow("other", 10.0, after=["taken"]),
    ]  # fmt: skip
    about = by_hand(*activities, events=events)
    agree(about)
    replay = replayed(about)
    states = {name: record.state for name, record in replay.records.items()}
    assert states == {"killed": "failed", "refused": "failed", "taken": "done", "child": "skipped",
                      "grandchild": "skipped", "other": "done"}  # fmt: skip
    assert replay.joules()["a"] == pytest.approx(2.0 * 4.0 + 4.0 * 0.25 + 4.0 + (HORIZON - 7.0))


def test_cancelling_at_every_stage() -> None:
    activities = [
        flow("unreleased", 10.0, start_s=9.0), flow("latent", 10.0, start_s=0.9),
        flow("running", 1e4), flow("finished", 10.0), flow("skipped", 1.0, after=["unreleased"]),
        task("blocked", 1.0, after=["running"], start_s=5.0),
    ]  # fmt: skip
    names = ["unreleased", "latent", "running", "finished", "skipped", "blocked"]
    events = [{"t_s": 1.0, "type": "cancel", "activity": name} for name in names]
    about = by_hand(*activities, events=events)
    agree(about)
    records = replayed(about).records
    states = [records[name].state for name in names]
    assert states == ["cancelled"] * 3 + ["done", "skipped", "skipped"]
    assert [records[name].finish for name in names[:3]] == [1.0] * 3
    assert records["unreleased"].start is None


def test_reverse_traffic_on_a_shared_line_takes_from_it() -> None:
    about = by_hand(flow("f", 970.0), model="lv08", duplex="shared")
    agree(about)
    assert replayed(about).records["f"].finish == pytest.approx(13.01 * 0.5 + 10.0 * 1.05)


def test_events_of_one_instant_happen_in_their_order() -> None:
    steps = [{"t_s": 1.0, "type": "pstate", "node": "a", "pstate": pstate} for pstate in (1, 0, 1)]
    about = by_hand(*(task(f"t{i}", 20.0) for i in range(3)), events=steps)
    agree(about)
    finish = replayed(about).records["t0"].finish
    assert finish == pytest.approx(1.0 + (20.0 - 20.0 / 3.0) / (10.0 / 3.0))
