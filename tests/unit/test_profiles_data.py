"""The device profiles as shipped: complete, credible, and free of data we may not ship."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hetsim.core.cost import Cost
from hetsim.sim.device import CLASSES, Profile
from hetsim.sim.dvfs import effort
from hetsim.spec.profile import load_profile

FOLDER = Path(__file__).resolve().parents[2] / "device_profiles"
FILES = sorted(FOLDER.glob("*.yaml"))
UNLICENSED = ("bofl", "pi_fl", "cellular_sigcomm21")
CHANCE = 30  # figures of a profile that may equal a source's by chance (clocks, round sizes)
VIT_MACS = 427_501_056  # ViT-B/16 on 32 pixels, forward, one image
VIT_TRAFFIC = 3.81e9  # bytes a training step of 32, as the profiles count it
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


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
    assert len(profiles) >= 16
    assert {profile.device_class for profile in profiles.values()} == set(CLASSES)


def test_phones_carry_a_battery_and_radios_send_harder_than_they_receive(
    profiles: dict[str, Profile],
) -> None:
    for profile in profiles.values():
        if profile.device_class == "phone":
            assert profile.battery is not None, profile.name
        for radio in profile.radios.values():
            assert radio.idle < radio.receive < radio.transmit, profile.name


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
        ("jetson_tx2", "tx2_cifar10.csv", 0.07, 0.08),
        ("jetson_agx_xavier", "agx_cifar10.csv", 0.17, 0.16),
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
    step = Cost(flops=6 * VIT_MACS * 32, traffic=VIT_TRAFFIC, steps=1, samples=32)
    kilo_hertz = np.array([[1e3, 1.0, 1.0]])
    errors: list[tuple[float, float]] = []
    for clocks, seconds, joules in zip(
        rows[:, :3] * kilo_hertz, rows[:, 3], rows[:, 4], strict=True
    ):
        points = [
            min(range(len(domain.points)), key=lambda i: abs(domain.points[i].frequency - clock))
            for domain, clock in zip(profile.domains, clocks, strict=True)
        ]
        work = effort(profile.domains, points, step, profile.overhead)
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


def _one_gflop(profile: Profile) -> tuple[float, float]:
    """Seconds, and joules above idle, of 1 GFLOP at the highest operating points."""
    top = [len(domain.points) - 1 for domain in profile.domains]
    work = effort(profile.domains, top, Cost(flops=1e9), profile.overhead)
    return work.duration, sum(work.joules)


def _figures(text: str) -> set[str]:
    """Numbers of at least four significant digits, as written and at four decimals."""
    found = {
        number for number in _NUMBER.findall(text) if len(number.replace(".", "").strip("0")) > 3
    }
    return found | {f"{float(number):.4f}" for number in found if "." in number}
