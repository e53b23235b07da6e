from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.sim.dvfs import effort
from hetsim.spec.profile import (
    find_profile,
    list_profiles,
    load_profile,
    load_profile_with_sources,
    profile_hash,
)

TABLE = """\
title: A board
class: sbc
power_scope: module
leaves_out: the supply
memory:
  capacity: {value: "2 GiB", source: "data sheet"}
  reserved: {value: "512 MiB", assumed: "a usual system"}
power:
  idle: {value: "2 W", source: "measured"}
  sleep: {value: "0.5 W", source: "measured"}
  off: {value: "0 W", assumed: "unplugged"}
compute:
  overhead: {value: "2 ms", derived: "fit"}
  domains:
    cpu:
      kind: cpu
      cores: {value: 4, source: "data sheet"}
      flops_per_cycle: {value: 4, derived: "fit"}
      cycles_per_step: {value: 2e6, derived: "fit"}
      points:
        source: "measured"
        columns: [frequency, power, speed]
        rows:
          - ["600 MHz", "1 W", 100]
          - ["1.2 GHz", "4 W", 160]
    memory:
      kind: memory
      bytes_per_cycle: {value: 8, derived: "fit"}
      points:
        assumed: "two steps"
        frequencies: ["0.5 GHz", "1 GHz"]
        linear: {value: "1 W/GHz", derived: "fit"}
        cubic: {value: "2 W/GHz^3", derived: "fit"}
radios:
  wifi:
    transmit: {value: "1.3 W", source: "measured"}
    receive: {value: "500 mW", source: "measured"}
battery:
  capacity: {value: "10 Wh", source: "label"}
  efficiency: {value: "95 %", assumed: "a usual one"}
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.yaml"
    path.write_text(TABLE)
    return path


def test_every_number_arrives_in_si(board: Path) -> None:
    profile = load_profile(board)
    assert (profile.name, profile.title) == ("board", "A board")
    assert (profile.device_class, profile.power_scope) == ("sbc", "module")
    assert (profile.idle, profile.sleep, profile.off) == (2.0, 0.5, 0.0)
    assert profile.memory == 1.5 * 2**30
    assert profile.overhead == 0.002
    assert profile.battery
    assert (profile.battery.capacity, profile.battery.efficiency) == (36000.0, 0.95)
    wifi = profile.radios["wifi"]
    assert (wifi.transmit, wifi.receive, wifi.idle) == (1.3, 0.5, 0.0)
    cpu, memory = profile.domains
    assert (cpu.name, cpu.kind, cpu.flops_per_cycle, cpu.cycles_per_step) == ("cpu", "cpu", 4, 2e6)
    assert (memory.kind, memory.bytes_per_cycle, memory.flops_per_cycle) == ("memory", 8, 0)


def test_work_is_proportional_to_measured_speed(board: Path) -> None:
    domains = load_profile(board).domains[:1]
    slow, fast = (effort(domains, (i,), Cost(flops=1e9), 0.0).duration for i in (0, 1))
    assert slow / fast == pytest.approx(160 / 100)
    assert [point.label for point in domains[0].points] == ["600 MHz", "1.2 GHz"]
    assert domains[0].points[1].frequency == 1.2e9


def test_fitted_power_is_linear_and_cubic_in_frequency(board: Path) -> None:
    low, high = load_profile(board).domains[1].points
    assert low.power == pytest.approx(1 * 0.5 + 2 * 0.5**3)
    assert high.power == pytest.approx(3.0)


def test_labels_take_their_clock_from_the_fastest_row(tmp_path: Path) -> None:
    text = TABLE.replace("[frequency, power, speed]", "[label, power, speed]")
    text = text.replace('"600 MHz", "1 W"', '"100 W limit", "90 W"')
    text = text.replace('"1.2 GHz", "4 W"', '"150 W limit", "140 W"')
    text = text.replace(
        "        columns",
        '        nominal: {value: "1 GHz", source: "data sheet"}\n        columns',
    )
    path = tmp_path / "gpu.yaml"
    path.write_text(text)
    first, second = load_profile(path).domains[0].points
    assert (first.label, second.label) == ("100 W limit", "150 W limit")
    assert (first.frequency, second.frequency) == (0.625e9, 1e9)


def test_measured_power_may_wobble(tmp_path: Path) -> None:
    path = tmp_path / "noise.yaml"
    path.write_text(TABLE.replace('"4 W", 160', '"0.8 W", 160'))
    assert load_profile(path).domains[0].points[1].power == 0.8


def test_the_sheet_says_what_backs_each_number(board: Path) -> None:
    _, sheet = load_profile_with_sources(board)
    assert (sheet.title, sheet.leaves_out) == ("A board", "the supply")
    rows = {row.key: row for row in sheet.rows}
    assert rows["memory.capacity"].evidence == "source"
    assert rows["memory.capacity"].value == "2 GiB"
    assert rows["compute.overhead"].text == "fit"
    assert rows["compute.domains.memory.points"].evidence == "assumed"
    assert rows["compute.domains.cpu.points"].value == "2 points up to 1.2 GHz"
    assert [row.key for row in sheet.rows][:3] == [
        "memory.capacity",
        "memory.reserved",
        "power.idle",
    ]
    assert len(rows) == TABLE.count("value:") + TABLE.count("points:")


def test_profiles_are_looked_for_in_order(
    board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = tmp_path / "extra"
    (extra / "device_profiles").mkdir(parents=True)
    (extra / "device_profiles" / "board.yaml").write_text(TABLE)
    (extra / "own.yml").write_text(TABLE)
    monkeypatch.setenv("HETSIM_PATH", str(extra))
    assert find_profile(str(board), None) == board
    assert find_profile("board", tmp_path) == board
    assert find_profile("board", None) == extra / "device_profiles" / "board.yaml"
    assert find_profile("own", None) == extra / "own.yml"
    assert "board" in list_profiles()
    assert find_profile("none", None, missing_ok=True) is None


def test_a_missing_profile_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETSIM_PATH", raising=False)
    with pytest.raises(SpecError, match='Did you mean "raspberry_pi_4b"') as caught:
        find_profile("raspbery_pi_4b", None, where="x.yaml:3", key="fleet[0].profile")
    assert caught.value.where == "x.yaml:3"


def test_the_hash_is_that_of_the_bytes(board: Path) -> None:
    assert profile_hash(board) == hashlib.sha256(TABLE.encode()).hexdigest()
