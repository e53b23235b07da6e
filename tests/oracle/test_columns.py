"""A whole topology played in columns and device by device: the same run, by two programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.core.errors import HetsimError
from hetsim.core.trace import Participation, Span, Trace
from hetsim.sim.columns import NotTraceable
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.spec.world import scenario as playing

CLOSE = 1e-9
PROFILES = (
    "raspberry_pi_4b", "raspberry_pi_5", "raspberry_pi_zero_2_w", "jetson_nano", "jetson_tx2",
    "pixel_3", "pixel_4a", "pixel_6", "esp32_s3", "framework13_amd",
)  # fmt: skip
CELLS = {"street": ("wifi", 3), "mast": ("lte", 4), "new-mast": ("nr", 2), "desk": ("ethernet", 1)}


def a_topology(seed: int, devices: int, cohort: int, *, weak: bool = False, **changes: Any) -> str:
    """Ten groups of random rates, ways, batteries, hours and shards.

    If they are `weak`, there are thirty, most of them with batteries of some joules, and hardly two
    devices are alike: of those that are, any may be first.
    """
    profiles = PROFILES * 3 if weak else PROFILES
    draw = np.random.default_rng(seed)
    groups: list[str] = []
    for number, profile in enumerate(profiles):
        cell = list(CELLS)[number % len(CELLS)]
        up, down = draw.uniform(1.0, 40.0, 2)
        latency = f', latency: "{draw.uniform(1.0, 90.0):.3f} ms"' if draw.random() < 0.5 else ""
        battery = "none"
        if draw.random() < 0.6:
            battery = f'{{capacity: "{draw.uniform(2.0, 20.0):.3f} Wh", charge: '
            battery += f'"{draw.uniform(20.0, 100.0):.3f} %", model: linear'
            battery += ', charger: {power: "60 W"}}' if draw.random() < 0.4 else "}"
        if weak and draw.random() < 0.8:
            battery = f'{{capacity: "{10.0 ** draw.uniform(0.3, 1.5):.4f} J", model: linear}}'
        hours = ""
        if draw.random() < 0.5:
            edge = draw.uniform(20.0, 60.0)
            away = ("off", "sleep", "idle")[int(draw.integers(3))]
            hours = f', availability: {{name: windows, on: [["0 s", "{edge:.2f} s"], '
            hours += f'["{edge + 5:.2f} s", "90 s"]], period: "100 s", away: {away}}}'
        alike = draw.random() < 0.4 and not weak
        few = f", data: {{samples: {draw.integers(2, 6)}}}" if alike else ""
        ambient = f', ambient: "{draw.uniform(5.0, 25.0):.2f} degC"'
        groups.append(
            f"  - {{profile: {profile}, name: kind{number}, count: {devices // len(profiles)}, "
            f'link: {{to: {cell}, up: "{up:.4f} Mbit/s", down: "{down:.4f} Mbit/s"{latency}}}, '
            f"battery: {battery}{hours}{few}{ambient}}}"
        )
    nodes = "\n".join(
        f'    {name}: {{technology: {technology}, count: {count}, power: "3 W"}}'
        for name, (technology, count) in CELLS.items()
    )
    lines = "\n".join(
        f'    - {{between: [{name}, core], bandwidth: "100 Gbit/s", latency: "{k + 1} ms"}}'
        for k, name in enumerate(CELLS)
    )
    told = {
        "pace": "{name: sync}", "stop": "{rounds: 6}", "governor": "performance",
        "method": "{name: fedavg, epochs: 3, batch: 4, lr: 0.05}",
        "selection": f"{{name: random, cohort: {cohort}}}",
        "task": "{data: {name: digits, train: 1400}, model: {name: mlp, hidden: [32]}, "
        "partition: {name: dirichlet, alpha: 0.5}}",
        **changes,
    }  # fmt: skip
    rest = "\n".join(f"{key}: {value}" for key, value in told.items())
    return (
        f"seed: {seed}\ncost_only: true\nfleet:\n" + "\n".join(groups)
        + f"\nnetwork:\n  nodes:\n{nodes}\n    core: ethernet\n  links:\n{lines}\n"
        f"server: {{profile: spec_server_3, at: core}}\n{rest}\n"
    )  # fmt: skip


def a_scenario(folder: Path, *given: Any, **changes: Any) -> Scenario:
    path = folder / "fleet.yaml"
    path.write_text(a_topology(*given, **changes))
    return resolve(load_topology(path))


def both_ways(scenario: Scenario) -> tuple[Trace, Trace]:
    """In columns, and device by device."""
    together, apart = (scenario.play(scenario.lab(), columns=each) for each in (True, False))
    assert together.played.startswith("in columns")
    return together, apart


def the_same(together: Trace, apart: Trace) -> None:
    """Spans, participations, rounds, devices and summary agree."""
    _rows(
        _spans(together), _spans(apart),
        "t0 t1 energy size progress alone latency", "actor kind peer round outcome",
    )  # fmt: skip
    _rows(
        _asked(together), _asked(apart),
        "t0 t1 share energy", "device hub round outcome used waste staleness",
    )  # fmt: skip
    for name in ("rounds", "devices"):
        for one, other in zip(getattr(together, name), getattr(apart, name), strict=True):
            _alike(one, other, {"model_version", "temperature_max_c"}, name)
    _alike(together.summary, apart.summary, {"trace_hash", "top", "what_if"}, "summary")
    saved, there = (
        [row["saves_at_most_s"] for row in trace.summary["what_if"]] for trace in (together, apart)
    )
    _alike(saved, there, set(), "what_if")  # of devices that are alike, any may be named
    assert {kind: n for kind, n in together.made.items()} == apart.made


def _spans(trace: Trace) -> list[Span]:
    return sorted(trace.spans, key=lambda s: (s.actor, s.round, s.kind, s.t0))


def _asked(trace: Trace) -> list[Participation]:
    return sorted(trace.participations, key=lambda each: (each.t0, each.device))


def _rows(ours: Sequence[Any], theirs: Sequence[Any], numbers: str, words: str) -> None:
    for word in words.split():
        assert [getattr(x, word) for x in ours] == [getattr(x, word) for x in theirs], word
    for number in numbers.split():
        np.testing.assert_allclose(
            [getattr(x, number) for x in ours], [getattr(x, number) for x in theirs],
            rtol=CLOSE, atol=1e-12, err_msg=number,
        )  # fmt: skip


def _alike(one: Any, other: Any, besides: set[str], where: str) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one.keys() - besides:
            _alike(one[key], other[key], besides, f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            _alike(a, b, besides, f"{where}[{place}]")
    elif isinstance(one, float) and other is not None:
        assert one == pytest.approx(other, rel=CLOSE, abs=1e-9), where
    else:
        assert one == other, where


@pytest.mark.parametrize("seed", range(3))
def test_a_topology_is_the_same_run_both_ways(seed: int, tmp_path: Path) -> None:
    together, apart = both_ways(a_scenario(tmp_path, seed, 500, 80))
    the_same(together, apart)
    for column in ("compute_j", "radio_j", "loss_j", "supplied_j", "bytes_up"):
        assert sum(row[column] for row in together.devices) > 0.0, column


CAUSES = {
    '{name: sync, deadline: "2 s"}': "deadline",
    "{name: sync, at_once: 25}": "churn",
    "{name: over_selection, factor: 1.5}": "surplus",
    '{name: over_selection, factor: 1.2, deadline: "1.2 s"}': "deadline",
    '{name: deadline, deadline: "2.5 s", late: drop}': "deadline",
}


@pytest.mark.parametrize("pace", CAUSES)
def test_who_is_dropped_is_dropped_both_ways(pace: str, tmp_path: Path) -> None:
    method = "{name: fedprox, epochs: 8, batch: 4, mu: 0.1, milestones: [2]}"
    together, apart = both_ways(a_scenario(tmp_path, 7, 200, 60, pace=pace, method=method))
    the_same(together, apart)
    assert together.summary["dropouts"][CAUSES[pace]] > 0


PACES = (
    "{name: sync}",
    "{name: sync, at_once: 80}",
    '{name: sync, deadline: "2 s"}',
    "{name: over_selection, factor: 1.3}",
    '{name: over_selection, factor: 1.5, deadline: "3 s"}',
)


@pytest.mark.parametrize("share", ["dcf", "airtime"])
@pytest.mark.parametrize("pace", PACES)
def test_batteries_run_empty_amid_a_round_both_ways(pace: str, share: str, tmp_path: Path) -> None:
    """At work and in the air, in every kind of cell."""
    path = tmp_path / "fleet.yaml"
    method = "{name: fedavg, epochs: 4, batch: 4, lr: 0.05}"
    task = "{data: {name: synthetic, train: 24000, test: 100, shape: [16]}, "
    task += "model: {name: mlp, hidden: [200, 60]}, partition: {name: dirichlet, alpha: 0.3}}"
    told = {"pace": pace, "method": method, "task": task, "stop": "{rounds: 4}"}
    text = a_topology(8, 600, 240, weak=True, **told)
    path.write_text(text.replace("technology: wifi", f"technology: wifi, share: {share}"))
    together, apart = both_ways(resolve(load_topology(path)))
    the_same(together, apart)
    died = [span for span in together.spans if span.outcome == "battery"]
    assert {"download", "train", "upload"} == {span.kind for span in died}
    assert 0 < len(died) <= together.summary["dropouts"]["battery"]
    assert sum(0.0 < span.progress < 1.0 for span in died if span.kind != "train") >= 5
    dead = sorted(note.actor for note in apart.notes if note.cause == "battery")
    assert sorted(note.actor for note in together.notes if note.cause == "battery") == dead


def test_who_is_too_small_is_left_out_both_ways(tmp_path: Path) -> None:
    task = "{data: {name: digits, train: 1400}, model: {name: mlp, hidden: [600]}, partition: iid}"
    together, apart = both_ways(a_scenario(tmp_path, 3, 200, 300, task=task))
    the_same(together, apart)
    assert together.summary["dropouts"]["memory"] == 20
    [excluded] = {row["excluded"] for row in together.devices if row["excluded"]}
    assert excluded.startswith("training needs")
    told = [(note.actor, note.text) for note in apart.notes if note.cause == "memory"]
    assert [(n.actor, n.text) for n in together.notes if n.cause == "memory"] == told


SINGULAR = {
    "changes clocks": {"governor": "schedutil"},
    "pace": {"pace": "fedasync"},
    "partial work": {"pace": '{name: deadline, deadline: "5 s", late: steps}'},
    "RoundRobin": {"selection": "{name: round_robin, cohort: 20}"},
    "shares by lv08": {"network": "LV08"},
    "one by one": {"method": "heterofl"},
    "of one client alone": {"method": "scaffold"},
    "could fill it": {"network": "THIN"},
    "comes and goes by random": {"network": "RANDOM"},
}


@pytest.mark.parametrize("why", SINGULAR)
def test_what_columns_cannot_play_they_refuse(why: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = dict(SINGULAR[why])
    special = changes.pop("network", "")
    text = a_topology(1, 100, 20, **changes)
    match special:
        case "LV08":
            text = text.replace("\nnetwork:\n", "\nnetwork:\n  sharing: lv08\n")
        case "THIN":
            text = text.replace("100 Gbit/s", "20 Mbit/s")
        case "RANDOM":
            other = '{name: random, up: "1 min", down: "1 min"}'
            text = re.sub(r"availability: .*?away: [a-z]+}", f"availability: {other}", text)
        case _:
            pass
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    scenario = resolve(load_topology(path))
    with pytest.raises(NotTraceable, match=why):
        scenario.play(scenario.lab(), columns=True)


def test_a_small_fleet_is_played_device_by_device(tmp_path: Path) -> None:
    scenario = a_scenario(tmp_path, 1, 100, 20)
    trace = scenario.play(scenario.lab())
    assert trace.played == "device by device: 100 devices, fewer than 2,000"


def test_a_large_one_in_columns_unless_it_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "MANY", 50)
    scenario = a_scenario(tmp_path, 1, 100, 20)
    assert scenario.play(scenario.lab()).played == "in columns: 100 devices"
    other = a_scenario(tmp_path, 1, 100, 20, governor="schedutil")
    told = other.play(other.lab()).played
    assert told == "device by device: the governor schedutil of kind0 changes clocks"
    monkeypatch.setattr(playing, "ONE_BY_ONE", 60)
    with pytest.raises(HetsimError, match="schedutil of kind0 changes clocks") as refused:
        other.play(other.lab())
    assert "at most 60" in str(refused.value)


def test_the_clock_of_columns_is_the_kernels(tmp_path: Path) -> None:
    """It has come to the end of every round, and no segment lies outside of its own."""
    scenario = a_scenario(tmp_path, 2, 100, 20)
    run = scenario.crowd(scenario.lab())
    instants: set[float] = set()
    step = run.kernel.env.step

    def watched() -> None:
        step()
        instants.add(run.kernel.env.now)

    run.kernel.env.step = watched
    run.kernel.run(scenario.method().server(run), "server")
    assert {row["t1_s"] for row in run.rows} <= instants
    bounds = {row["round"]: (row["t0_s"], row["t1_s"]) for row in run.rows}
    for span in run.kernel.trace.spans:
        begin, end = bounds[span.round]
        assert begin <= span.t0 <= span.t1 <= end
