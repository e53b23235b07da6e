"""The device profiles as shipped: complete, credible, and free of data we may not ship."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hetsim.core.cost import Cost
from hetsim.sim.device import CLASSES, Profile
from hetsim.spec import units
from hetsim.spec.profile import load_profile, load_profile_with_sources
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study.published_networks import NETWORKS
from hetsim.testing.world import Played, play

FOLDER = Path(__file__).resolve().parents[2] / "device_profiles"
FILES = sorted(FOLDER.glob("*.yaml"))
UNLICENSED = ("bofl", "pi_fl", "cellular_sigcomm21")
CHANCE = 30  # figures of a profile that may equal a source's by chance (clocks, round sizes)
READ_ELSEWHERE: set[str] = set()
ADAM_OPERATORS, ADAM_TOUCHES = 8, 18  # a tensor, and values a value
EVERY_PROFILE = """\
cost_only: true
fleet:
{fleet}
network: {{nodes: {{switch: {{technology: ethernet}}}}}}
server: {{profile: core_ultra_265k, at: switch}}
task: {{data: {{name: digits, train: 1400, test: 100}}, model: {model}, partition: iid}}
method: {{name: fedavg, epochs: 1, batch: 10, lr: 0.1}}
selection: {{name: random, cohort: {cohort}}}
stop: {{rounds: 1}}
"""
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_CITED = re.compile(r"github:([\w.-]+/[\w.-]+@\w+)")


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    return {path.stem: load_profile(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_profile_loads_and_can_train(path: Path) -> None:
    profile = load_profile(path)
    assert profile.name == path.stem
    assert profile.memory > 0
    assert any(domain.flops_per_cycle > 0 for domain in profile.domains)


def test_set_covers_every_class(profiles: dict[str, Profile]) -> None:
    assert len(profiles) >= 60
    assert {profile.device_class for profile in profiles.values()} == set(CLASSES)


def test_phones_carry_a_battery_and_radios_send_harder_than_they_receive(
    profiles: dict[str, Profile],
) -> None:
    for profile in profiles.values():
        if profile.device_class == "phone":
            assert profile.battery is not None, profile.name
        for technology, radio in profile.radios.items():
            if technology == "ble":  # at 0 dBm the receiver takes as much as the transmitter
                assert radio.idle < min(radio.receive, radio.transmit), profile.name
            else:
                assert radio.idle < radio.receive < radio.transmit, profile.name


@pytest.mark.parametrize(
    ("device_class", "rate", "joules", "idle"),
    [
        ("phone", (1e9, 60e9), (0.02, 2.0), (0.01, 0.3)),
        ("jetson", (50e9, 5e12), (0.005, 0.1), (1.0, 10.0)),
        ("sbc", (0.3e9, 60e9), (0.05, 5.0), (0.3, 5.0)),
        ("mcu", (0.3e6, 1e9), (0.1, 50.0), (0.001, 0.15)),
        ("server_gpu", (2e12, 60e12), (0.005, 0.05), (5.0, 80.0)),
        ("server_cpu", (50e9, 6e12), (0.03, 1.0), (5.0, 150.0)),
        ("laptop_or_edge_server", (20e9, 3e12), (0.03, 1.0), (0.5, 50.0)),
    ],
)
def test_arithmetic_and_idle_power_lie_where_those_of_the_class_do(
    profiles: dict[str, Profile],
    device_class: str,
    rate: tuple[float, float],
    joules: tuple[float, float],
    idle: tuple[float, float],
) -> None:
    """Ranges of flop/s at the highest clocks, of joules a GFLOP above idle, and of idle watts."""
    for profile in profiles.values():
        if profile.device_class == device_class:
            seconds, energy = _one_gflop(profile)
            assert rate[0] <= 1e9 / seconds <= rate[1], profile.name
            assert joules[0] <= energy <= joules[1], profile.name
            assert idle[0] <= profile.idle <= idle[1], profile.name


def test_phones_count_the_charge_of_a_cell_and_slow_down_when_their_skin_is_hot(
    profiles: dict[str, Profile],
) -> None:
    for profile in profiles.values():
        if profile.device_class == "phone":
            assert profile.battery is not None
            assert profile.battery.model == "voltage", profile.name
            assert 3.0 <= profile.battery.cutoff <= 3.5, profile.name
            assert profile.heat is not None
            assert 2.0 <= profile.heat.resistance <= 6.0, profile.name
            assert 100.0 <= profile.heat.capacity <= 250.0, profile.name
            slowed = {trip.domain for trip in profile.heat.trips}
            assert slowed == {domain.name for domain in profile.domains}, profile.name


def test_a_hotter_trip_leaves_a_slower_clock(profiles: dict[str, Profile]) -> None:
    trips = 0
    for profile in profiles.values():
        for domain in profile.domains:
            own = (
                [trip for trip in profile.heat.trips if trip.domain == domain.name]
                if profile.heat
                else []
            )
            own.sort(key=lambda trip: trip.at)
            points = [trip.point for trip in own]
            assert points == sorted(points, reverse=True), profile.name
            assert all(point < len(domain.points) - 1 for point in points), profile.name
            trips += len(own)
    assert trips >= 60


def test_devices_keep_their_clocks_while_idle_in_a_room(profiles: dict[str, Profile]) -> None:
    for profile in profiles.values():
        if profile.heat and profile.heat.trips:
            rest = profile.heat.at_rest(ambient=25.0, idle=profile.idle).temperature
            assert rest < min(trip.resume for trip in profile.heat.trips), profile.name


@pytest.fixture(scope="module")
def one_round(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    """A round with a device of every profile: a model that all can hold, one that some cannot."""
    fleet = "\n".join(
        f"  - {{profile: {path.stem}, name: {path.stem}, "
        'link: {to: switch, rate: "10 Mbit/s"}, data: {samples: 20}}'
        for path in FILES
    )
    played: dict[str, Played] = {}
    for model in ("logistic", "resnet20"):
        path = tmp_path_factory.mktemp("all") / f"{model}.yaml"
        path.write_text(EVERY_PROFILE.format(fleet=fleet, model=model, cohort=len(FILES)))
        played[model] = play(resolve(load_topology(path), None))
    return played


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_device_trains_a_tiny_model(one_round: dict[str, Played], path: Path) -> None:
    [row] = _rows(one_round["logistic"], path.stem)
    assert row["excluded"] == ""
    assert row["rounds_done"] == 1
    assert row["compute_j"] > 0.0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_device_trains_a_small_network_or_says_what_memory_is_missing(
    one_round: dict[str, Played], profiles: dict[str, Profile], path: Path
) -> None:
    [row] = _rows(one_round["resnet20"], path.stem)
    if profiles[path.stem].device_class == "mcu":
        assert re.fullmatch(
            r"training needs [\d.]+ MB of memory; [\d.]+ [kM]B are available", row["excluded"]
        ), row["excluded"]
    else:
        assert row["excluded"] == ""
        assert row["rounds_done"] == 1


@pytest.mark.parametrize(
    "slow_to_fast",
    [
        ("raspberry_pi_zero_2_w", "raspberry_pi_4b", "raspberry_pi_5", "gmktec_n150"),
        ("gmktec_n150", "framework13_amd", "core_ultra_265k", "spec_server_6", "v100"),
        ("jetson_nano", "jetson_tx2", "jetson_agx_xavier", "v100"),
        ("stm32l4r5", "stm32h7a3", "raspberry_pi_zero_2_w", "pixel_4a", "pixel_6", "jetson_nano"),
    ],
)
def test_arithmetic_ranks_devices_as_their_hardware_does(
    profiles: dict[str, Profile], slow_to_fast: tuple[str, ...]
) -> None:
    seconds = [_one_gflop(profiles[name])[0] for name in slow_to_fast]
    assert seconds == sorted(seconds, reverse=True)


def test_an_accelerator_spends_less_on_arithmetic_than_any_cpu(
    profiles: dict[str, Profile],
) -> None:
    gpu, cpu = (
        [
            _one_gflop(profile)[1]
            for profile in profiles.values()
            if profile.device_class != "mcu"
            and any(domain.kind == "gpu" for domain in profile.domains) is with_gpu
        ]
        for with_gpu in (True, False)
    )
    assert max(gpu) < min(cpu)


@pytest.mark.parametrize(
    ("name", "sweep", "time_error", "energy_error"),
    [
        ("jetson_tx2", "tx2_cifar10.csv", 0.018, 0.06),
        ("jetson_agx_xavier", "agx_cifar10.csv", 0.025, 0.061),
    ],
)
def test_fitted_coefficients_repeat_the_sweep_as_closely_as_the_profile_says(
    profiles: dict[str, Profile],
    shared: Path,
    name: str,
    sweep: str,
    time_error: float,
    energy_error: float,
) -> None:
    rows = np.loadtxt(shared / "measured/traces/bofl" / sweep, delimiter=",", skiprows=1)
    profile = profiles[name]
    vit = NETWORKS["vitb16"]
    step = Cost(
        flops=32 * vit.training,
        traffic=vit.fixed + ADAM_TOUCHES * vit.parameters + 32 * vit.growing,
        steps=1,
        samples=32,
        operators=vit.operators + ADAM_OPERATORS * vit.tensors,
    )
    kilo_hertz = np.array([[1e3, 1.0, 1.0]])
    errors: list[tuple[float, float]] = []
    for clocks, seconds, joules in zip(
        rows[:, :3] * kilo_hertz, rows[:, 3], rows[:, 4], strict=True
    ):
        points = [
            min(range(len(domain.points)), key=lambda i: abs(domain.points[i].frequency - clock))
            for domain, clock in zip(profile.domains, clocks, strict=True)
        ]
        work = profile.effort(step, points)
        energy = sum(work.joules) + profile.idle * work.duration
        errors.append((abs(work.duration / seconds - 1), abs(energy / joules - 1)))
    of_time, of_energy = np.mean(errors, axis=0)
    assert of_time < time_error
    assert of_energy < energy_error


@pytest.mark.parametrize("source", UNLICENSED)
def test_no_profile_repeats_the_rows_of_an_unlicensed_source(shared: Path, source: str) -> None:
    folder = shared / "measured" / "traces" / source
    if not folder.is_dir():
        pytest.skip(f"no {source} traces: {folder} is no folder")
    rows = "\n".join(path.read_text(errors="replace") for path in sorted(folder.iterdir()))
    measured = _figures(rows)
    some = "\n".join(rows.splitlines()[-40:])
    assert len(_figures(some) & measured) > CHANCE, "forty copied rows would go unseen"
    for path in FILES:
        copied = _figures(path.read_text()) & measured
        assert len(copied) <= CHANCE, f"{path.name} repeats {sorted(copied)}"


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """The measured devices by name."""
    folder: Path = request.getfixturevalue("shared")
    sheet = yaml.safe_load((folder / "measured" / "devices.yaml").read_text())
    return {device["id"]: device for device in sheet["devices"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_repositories_cited_are_those_that_were_read(shared: Path, path: Path) -> None:
    folder = shared / "measured"
    read = "".join((folder / name).read_text() for name in ("devices.yaml", "README.md"))
    unknown = set(_CITED.findall(path.read_text())) - set(_CITED.findall(read)) - READ_ELSEWHERE
    assert not unknown


def test_figures_with_a_source_are_the_figures_there(measured: dict[str, dict[str, Any]]) -> None:
    """Idle power, memory and cell of every profile whose device the measured set has."""
    checked = 0
    for path in FILES:
        device = measured.get(path.stem)
        if device is None:
            continue
        profile = yaml.safe_load(path.read_text())
        checked += _same_figure(
            profile["power"]["idle"],
            device.get("idle_power"),
            "power",
            {"W": 1.0, "W at the wall": 1.0},
        )
        checked += _same_figure(
            profile["memory"]["capacity"], device.get("memory_bytes"), "size", {"bytes": 1.0}
        )
        cell = (device.get("battery") or {}).get("capacity")
        if cell and "derived" in profile["battery"]["capacity"]:
            stored = units.parse(profile["battery"]["capacity"]["value"], "energy")
            assert stored == pytest.approx(cell["value"] * 3.6 * 3.85, rel=1e-3), path.stem
            checked += 1
    assert checked >= 40


def test_operating_points_of_phones_are_those_measured(
    measured: dict[str, dict[str, Any]],
) -> None:
    """Each clock and each CoreMark stands in the same row of one of the phone's clusters."""
    checked = 0
    for path in FILES:
        device = measured.get(path.stem, {})
        clusters = (
            device["cpu"]["clusters"] if device.get("class") == "phone" and device["cpu"] else []
        )
        known = {
            (point["freq_mhz"], point["coremark_per_s"])
            for cluster in clusters
            for point in cluster["opps"]
        }
        if not known:
            continue
        for domain in yaml.safe_load(path.read_text())["compute"]["domains"].values():
            for clock, _, *speed in domain["points"]["rows"]:
                row = float(clock.removesuffix(" MHz")), speed[0] if speed else None
                assert row in known, (path.stem, row)
                checked += 1
    assert checked >= 200


def test_measurements_that_shaped_a_profile_are_declared(
    shared: Path, measured: dict[str, dict[str, Any]]
) -> None:
    """A profile that holds the figure of a validation row says that it was fitted on it."""
    lines = (shared / "measured" / "README.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.split("|")] for line in lines if re.match(r"\| V\d", line)
    ]
    known = {row[1] for row in cells}
    linpack = {row[2]: (row[1], row[5].split()[0]) for row in cells if row[3].startswith("HPL")}
    assert len(linpack) >= 7
    for path in FILES:
        fitted_on = load_profile_with_sources(path)[1].fitted_on
        assert set(fitted_on) <= known, path.stem
        row, rate = linpack.get(path.stem, ("", ""))
        if row and re.search(rf"(?<![\d.]){re.escape(rate)}(?![\d.])", path.read_text()):
            assert row in fitted_on, path.stem


def _same_figure(
    leaf: dict[str, Any], figure: dict[str, Any] | None, dimension: Any, factors: dict[str, float]
) -> int:
    """Compare a leaf that gives the figure's source; returns how many were compared."""
    if not figure or figure["unit"] not in factors or "source" not in leaf:
        return 0
    if figure["source"].split(" ")[0] not in leaf["source"]:
        return 0
    expected = figure["value"] * factors[figure["unit"]]
    assert units.parse(leaf["value"], dimension) == pytest.approx(expected, rel=1e-3), leaf
    return 1


def _rows(played: Played, device: str) -> list[dict[str, Any]]:
    return [
        row for row in played.trace.devices if row["profile"] == device and row["role"] == "device"
    ]


def _one_gflop(profile: Profile) -> tuple[float, float]:
    """Seconds, and joules above idle, of 1 GFLOP at the highest operating points."""
    work = profile.effort(Cost(flops=1e9), profile.highest)
    return work.duration, sum(work.joules)


def _figures(text: str) -> set[str]:
    """Numbers of at least four significant digits, as written and at four decimals."""
    found = {
        number for number in _NUMBER.findall(text) if len(number.replace(".", "").strip("0")) > 3
    }
    return found | {f"{float(number):.4f}" for number in found if "." in number}
