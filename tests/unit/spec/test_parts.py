"""The blocks `battery` and `heat` of a profile, and what a topology says of charging."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.trace import Trace
from hetsim.learn.lab import CostOnlyLab
from hetsim.sim.battery import Wells
from hetsim.sim.heat import Body, Trip
from hetsim.spec.profile import load_profile, load_profile_with_sources
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.testing.world import check_books

from .conftest import PROFILE, TOPOLOGY

BATTERY = """\
battery:
  capacity: {value: "10 Wh", source: "label"}
  efficiency: {value: "95 %", assumed: "a usual one"}
  charge_efficiency: {value: 0.9, assumed: "a usual one"}
  restart: {value: "4 %", assumed: "a usual one"}
  model: voltage
  voltage:
    source: "device tree"
    rows: [[0, "3.4 V"], ["20 %", "3.7 V"], [1.0, "4.35 V"]]
  cutoff: {value: "3.5 V", assumed: "a usual one"}
  kibam:
    available: {value: 0.6, assumed: "a usual one"}
    rate: {value: "4.5e-4 1/s", assumed: "a usual one"}
"""
HEAT = """\
heat:
  resistance: {value: "8 K/W", derived: "fit"}
  capacity: {value: "20 J/K", derived: "fit"}
  power: compute
  trips:
    - {domain: cpu, at: "80 degC", resume: "75 degC", to: "1.2 GHz", source: "kernel"}
    - {domain: cpu, at: "363.15 K", resume: "80 degC", to: "700 MHz", assumed: "a guess"}
"""
POINTS = (
    'rows: [["1 GHz", "2 W"]]',
    'rows: [["600 MHz", "1 W"], ["1 GHz", "2 W"], ["1.5 GHz", "5 W"]]',
)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.yaml"
    path.write_text(PROFILE.replace(*POINTS) + BATTERY + HEAT)
    return path


def test_a_battery_arrives_in_si(board: Path) -> None:
    pack = load_profile(board).battery
    assert pack
    assert (pack.capacity, pack.efficiency, pack.charge_efficiency) == (36e3, 0.95, 0.9)
    assert (pack.restart, pack.model, pack.cutoff) == (0.04, "voltage", 3.5)
    assert pack.voltage == ((0.0, 3.4), (0.2, 3.7), (1.0, 4.35))
    assert pack.wells == Wells(available=0.6, rate=4.5e-4)


def test_trips_name_the_highest_point_they_allow(board: Path) -> None:
    assert load_profile(board).heat == Body(
        resistance=8.0, capacity=20.0, power="compute",
        trips=(
            Trip(domain="cpu", at=80.0, resume=75.0, point=1),
            Trip(domain="cpu", at=90.0, resume=80.0, point=0),
        ),
    )  # fmt: skip


def test_trips_are_compared_with_the_clock_as_written(board: Path) -> None:
    """Where speed was measured the effective frequency of a point is another."""
    text = board.read_text().replace("[frequency, power]", "[frequency, power, speed]")
    for clock, speed in (("1 W", 90), ("2 W", 95), ("5 W", 100)):
        text = text.replace(f'"{clock}"]', f'"{clock}", {speed}]')
    board.write_text(text)
    profile = load_profile(board)
    assert profile.domains[0].points[1].frequency == pytest.approx(1.425e9)
    assert profile.heat
    assert [trip.point for trip in profile.heat.trips] == [1, 0]


def test_trips_of_power_limits_name_a_limit(board: Path) -> None:
    text = board.read_text().replace("[frequency, power]", "[limit, power, speed]")
    text = text.replace('["600 MHz", "1 W"]', '["100 W", "90 W", 8]')
    text = text.replace('["1 GHz", "2 W"]', '["150 W", "140 W", 9]')
    text = text.replace('["1.5 GHz", "5 W"]', '["200 W", "180 W", 10]')
    text = text.replace(
        "        columns", '        nominal: {value: "1 GHz", source: "s"}\n        columns'
    )
    text = text.replace('"1.2 GHz", source', '"160 W", source').replace('"700 MHz"', '"100 W"')
    board.write_text(text)
    heat = load_profile(board).heat
    assert heat
    assert [trip.point for trip in heat.trips] == [1, 0]


def test_every_number_has_its_evidence(board: Path) -> None:
    rows = {row.key: (row.value, row.evidence) for row in load_profile_with_sources(board)[1].rows}
    assert rows["battery.voltage"] == ("3 points from 3.4 V to 4.35 V", "source")
    assert rows["battery.kibam.rate"] == ("4.5e-4 1/s", "assumed")
    assert rows["heat.trips[1]"] == ("cpu at most 700 MHz from 90 to 80 degC", "assumed")


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ("model: voltage", "model: volts", "battery.model", 'Did you mean "voltage"?'),
        ("model: voltage", "mode: voltage", "battery.mode", "unknown key"),
        ('"3.4 V"], ["20 %"', '"3.8 V"], ["20 %"', "battery.voltage.rows[1]", "voltage falls"),
        ('["20 %", "3.7 V"]', '["20 %"]', "battery.voltage.rows[1]", "two entries"),
        ('["20 %", "3.7 V"]', '[0, "3.7 V"]', "battery.voltage.rows[1]", "does not rise"),
        ('[[0, "3.4 V"]', '[[0.1, "3.4 V"]', "battery.voltage.rows[0]", "does not rise"),
        ('[1.0, "4.35 V"]', '[0.9, "4.35 V"]', "battery.voltage.rows[2]", "from 0 to 1"),
        ('"4.35 V"', '"4.35 W"', "battery.voltage.rows[2]", "no unit of voltage"),
        ('    source: "device tree"\n', "", "battery.voltage", "no source"),
        ('cutoff: {value: "3.5 V"', 'cutoff: {value: "4.4 V"', "battery.cutoff", "never run"),
        ("value: 0.6", "value: 1.0", "battery.kibam.available", "nothing is bound"),
        ('"4.5e-4 1/s"', '"4.5e-4"', "battery.kibam.rate.value", "no unit"),
        ('value: "4 %"', "value: 0", "battery.restart.value", "not above zero"),
        ("power: compute", "power: cpu", "heat.power", "not known"),
        ('"8 K/W"', '"0 K/W"', "heat.resistance.value", "not above zero"),
        ("- {domain: cpu, at", "- {domain: gpu, at", "heat.trips[0].domain", "not known"),
        ('resume: "75 degC"', 'resume: "80 degC"', "heat.trips[0].resume", "not below"),
        (
            'to: "700 MHz"',
            'to: "500 MHz"',
            "heat.trips[1].to",
            "no operating point at or below",
        ),
        ('to: "700 MHz"', 'to: "7 W"', "heat.trips[1].to", "no unit of frequency"),
        (', source: "kernel"', "", "heat.trips[0]", "no source"),
        ('at: "80 degC", ', "", "heat.trips[0].at", "missing"),
    ],
)
def test_nonsense_is_refused_with_its_line(
    board: Path, old: str, new: str, key: str, what: str
) -> None:
    text = board.read_text()
    line = text[: text.index(old)].count("\n") + 1
    board.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError) as error:
        load_profile(board)
    assert error.value.key == key
    assert what in str(error.value)
    lines = (line, line - 1)  # of the value, or of the mapping around what is missing
    assert error.value.where in [f"{board}:{each}" for each in lines]


def test_a_model_needs_its_numbers(board: Path) -> None:
    text = board.read_text()
    start, end = text.index("  voltage:\n"), text.index("  cutoff")
    board.write_text(text[:start] + text[end:])
    with pytest.raises(SpecError, match="only a battery with open-circuit voltages has it"):
        load_profile(board)
    end = text.index("  kibam")
    board.write_text(text[:start] + text[end:])
    with pytest.raises(SpecError, match="no numbers for the model voltage"):
        load_profile(board)


# --- topology -----------------------------------------------------------------------------------

GROUPS = """\
fleet:
  - profile: board
    link: {rate: "40 Mbit/s"}
    ambient: "35 degC"
    battery:
      charge: 40 %
      model: kibam
      charger: {power: "5 W", on: [["1 s", "2 s"]], period: "3 s"}
  - profile: board
    name: outdoor
    link: {rate: "40 Mbit/s"}
    temperature: "-5 degC"
    battery: {solar: {latitude: "52.5 deg", peak: "9 W", day: 172, clearness: ["40 %", 1]}}
  - profile: board
    name: replayed
    link: {rate: "40 Mbit/s"}
    battery: {capacity: "20 Wh", charge: 50 %, solar: {trace: sun.csv, peak: "4 W", end: clamp}}
"""


def write(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    (tmp_path / "sun.csv").write_text("seconds,share\n0,0.1\n1,0.5\n3,1\n")
    start, end = TOPOLOGY.index("fleet:"), TOPOLOGY.index("network:")
    text = TOPOLOGY[:start] + GROUPS + TOPOLOGY[end:]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return path


def load(path: Path) -> Scenario:
    return resolve(load_topology(path, overrides=("cost_only=true",)))


def play(scenario: Scenario) -> Trace:
    return scenario.play(CostOnlyLab())


def test_every_battery_is_charged_and_the_books_balance(board: Path, tmp_path: Path) -> None:
    scenario = load(write(tmp_path))
    trace = play(scenario)
    check_books(trace, scenario)
    rows = {row["device"]: row for row in trace.devices}
    assert all(row["temperature_max_c"] > -5.0 for name, row in rows.items() if name != "server")
    assert rows["replayed-0"]["supplied_j"] > 0.0
    assert rows["outdoor-0"]["supplied_j"] == 0.0, "it begins at midnight"
    tracks = {counter.track for counter in trace.counters if counter.actor == "board-0"}
    assert tracks == {"power_w", "charge_j", "temperature_c", "frequency_hz.cpu"}
    first = {c.actor: c.value for c in reversed(trace.counters) if c.track == "temperature_c"}
    assert first["board-0"] == 35.0, "power: compute, so that idling does not warm it"
    assert first["outdoor-0"] == -5.0


def test_a_resolved_topology_is_the_same_topology(board: Path, tmp_path: Path) -> None:
    scenario = load(write(tmp_path))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "spec.yaml").write_text(scenario.text())
    scenario.copy_files(copy)
    assert (copy / "sun.csv").exists()
    again = load(copy / "spec.yaml")
    assert again.spec.resolved() == scenario.spec.resolved()
    assert again.digest == scenario.digest
    assert play(again).hash() == play(scenario).hash()


def test_the_content_of_a_solar_trace_is_part_of_the_hash(board: Path, tmp_path: Path) -> None:
    path = write(tmp_path)
    before = load(path).digest
    (tmp_path / "sun.csv").write_text("seconds,share\n0,0\n1,0.6\n3,1\n")
    assert load(path).digest != before


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ("model: kibam", "model: kibram", "fleet[0].battery.model", "kibam"),
        ("[[\"1 s\", \"2 s\"]]", "[[\"2 s\", \"1 s\"]]", "fleet[0].battery.charger.on", "in order"),
        (', on: [["1 s", "2 s"]]', "", "fleet[0].battery.charger.period", "nothing repeats"),
        ('power: "5 W"', 'power: "0 W"', "fleet[0].battery.charger.power", "not above zero"),
        ('latitude: "52.5 deg"', 'latitude: "95 deg"', "fleet[1].battery.solar.latitude", "no"),
        ('latitude: "52.5 deg", ', "", "fleet[1].battery.solar", "a trace or a latitude"),
        ('peak: "9 W", ', "", "fleet[1].battery.solar.peak", "missing"),
        ('["40 %", 1]', '[1, "40 %"]', "fleet[1].battery.solar.clearness", "not in order"),
        ("trace: sun.csv", "trace: moon.csv", "fleet[2].battery.solar.trace", "no trace file"),
        ('ambient: "35 degC"', "ambient: 35", "fleet[0].ambient", "no unit"),
    ],
)  # fmt: skip
def test_nonsense_in_a_topology_is_refused_with_its_line(
    board: Path, tmp_path: Path, old: str, new: str, key: str, what: str
) -> None:
    path = write(tmp_path, (old, new))
    with pytest.raises(SpecError) as error:
        load(path)
    assert error.value.key == key
    assert what in str(error.value)
    assert error.value.where.startswith(f"{path}:")


def test_what_has_no_battery_cannot_be_charged(board: Path, tmp_path: Path) -> None:
    board.write_text(PROFILE)
    path = write(tmp_path, ("      model: kibam\n", ""))
    with pytest.raises(SpecError, match="has no battery") as error:
        load(path)
    assert error.value.key == "fleet[0].battery.charger"


def test_a_model_without_numbers_is_refused(board: Path, tmp_path: Path) -> None:
    text = board.read_text()
    board.write_text(text[: text.index("  kibam:")] + HEAT)
    with pytest.raises(SpecError, match="no numbers for kibam"):
        load(write(tmp_path))


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("seconds,W\n0,1\n", 1, "no unit of fraction"),
        ("seconds,share\n0,-1\n", 2, "negative"),
        ("seconds,share\n0,0\n1,0\n", 3, "never above zero"),
    ],
)
def test_a_broken_solar_trace_is_refused(
    board: Path, tmp_path: Path, content: str, line: int, what: str
) -> None:
    path = write(tmp_path)
    (tmp_path / "sun.csv").write_text(content)
    with pytest.raises(SpecError, match=what) as error:
        load(path)
    assert error.value.where == f"{tmp_path / 'sun.csv'}:{line}"
