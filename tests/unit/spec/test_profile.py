from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.sim.dvfs import Timing, effort
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
    assert profile.timing == Timing(overhead=0.002)
    assert profile.battery
    assert (profile.battery.capacity, profile.battery.efficiency) == (36000.0, 0.95)
    wifi = profile.radios["wifi"]
    assert (wifi.transmit, wifi.receive, wifi.idle) == (1.3, 0.5, 0.0)
    cpu, memory = profile.domains
    assert (cpu.name, cpu.kind, cpu.flops_per_cycle, cpu.cycles_per_step) == ("cpu", "cpu", 4, 2e6)
    assert (memory.kind, memory.bytes_per_cycle, memory.flops_per_cycle) == ("memory", 8, 0)


def test_work_is_proportional_to_measured_speed(board: Path) -> None:
    domains = load_profile(board).domains[:1]
    slow, fast = (effort(domains, (i,), Cost(flops=1e9)).duration for i in (0, 1))
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


def changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = TABLE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "changed.yaml"
    path.write_text(text)
    return path


def leaf(value: object) -> str:
    return f'{{value: {value}, assumed: "guess"}}'


def test_every_time_of_the_compute_block_arrives(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("compute:\n", f"compute:\n  launch: {leaf('20 us')}\n  switch: {leaf('1 ms')}\n"
         f"  overlap: {{memory: {leaf(2.5)}}}\n"),
        ("      kind: cpu\n", f"      kind: cpu\n      background: {leaf('40 MHz')}\n"
         f"      cycles_per_operator: {leaf(300)}\n"),
        ("title:", "fitted_on: [V1, V2]\ntitle:"),
    )  # fmt: skip
    profile, sheet = load_profile_with_sources(path)
    assert profile.timing == Timing(overhead=0.002, launch=2e-5, memory=2.5)
    assert profile.switch == 1e-3
    assert profile.domains[0].background == 4e7
    assert profile.domains[0].cycles_per_operator == 300
    assert sheet.fitted_on == ("V1", "V2")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("compute:\n", f"compute:\n  overlap: {{memory: {leaf(0.5)}}}\n", "is below 1"),
        ("compute:\n", f"compute:\n  overlap: {{host: {leaf(2)}}}\n", "cannot do both at once"),
        ("compute:\n", f"compute:\n  overlap: {{cpu: {leaf(2)}}}\n", "unknown key"),
        ("      kind: cpu\n", f"      kind: cpu\n      background: {leaf('800 MHz')}\n",
         "leaves nothing at the lowest"),
        ("title:", "fitted_on: V1\ntitle:", "list of different measurement ids"),
        ("title:", "fitted_on: [V1, V1]\ntitle:", "list of different measurement ids"),
    ],
)  # fmt: skip
def test_what_no_device_can_do_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        load_profile(changed(tmp_path, (old, new)))
    assert "changed.yaml:" in caught.value.where


def test_power_limits_are_states_and_take_their_clock_from_the_fastest_row(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("[frequency, power, speed]", "[limit, power, speed]"),
        ('"600 MHz", "1 W"', '"100 W", "90 W"'),
        ('"1.2 GHz", "4 W"', '"150 W", "140 W"'),
        (
            "        columns",
            '        nominal: {value: "1 GHz", source: "data sheet"}\n        columns',
        ),
    )
    first, second = load_profile(path).domains[0].points
    assert (first.label, second.label) == ("100 W limit", "150 W limit")
    assert (first.limit, second.limit) == (100.0, 150.0)
    assert (first.frequency, second.frequency) == (0.625e9, 1e9)
