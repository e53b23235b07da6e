"""Every plug-in that comes with hetsim keeps the promises of its kind, and so do foreign ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hetsim.core import registry
from hetsim.core.errors import UnknownName
from hetsim.core.registry import (
    BANDWIDTHS,
    DATA,
    GOVERNORS,
    METHODS,
    MODELS,
    NETWORKS,
    PACES,
    PARTITIONS,
    SELECTIONS,
    Registry,
)
from hetsim.methods.fedavg import FedAvg
from hetsim.spec.profile import list_profiles
from hetsim.testing import (
    AvailabilitySuite,
    BandwidthSuite,
    DataSuite,
    DeviceSuite,
    GovernorSuite,
    MethodSuite,
    ModelSuite,
    NetworkSuite,
    PaceSuite,
    PartitionSuite,
    SelectionSuite,
    play,
    tiny,
)

PRESENCE = Path(__file__).parent / "presence.csv"
NEED_FILES = ("cifar10", "fashion_mnist", "hapt", "spoken_digits")
LARGE = ("cifar10", "fashion_mnist")


@pytest.mark.parametrize("name", METHODS.names())
class TestMethods(MethodSuite):
    pass


@pytest.mark.parametrize("name", SELECTIONS.names())
class TestSelections(SelectionSuite):
    pass


@pytest.mark.parametrize("name", PACES.names())
class TestPaces(PaceSuite):
    pass


class TestSyncWithDeadline(PaceSuite):
    plugin = "sync"
    options: ClassVar[Mapping[str, Any]] = {"deadline": "100 ms", "over_selection": 1.3}


class TestFewerStepsInTime(PaceSuite):
    plugin = "deadline"
    options: ClassVar[Mapping[str, Any]] = {"deadline": "12 ms"}


class TestFewerLayersInTime(PaceSuite):
    plugin = "deadline"
    options: ClassVar[Mapping[str, Any]] = {"deadline": "12 ms", "late": "layers"}


class TestNothingLateCounts(PaceSuite):
    plugin = "deadline"
    options: ClassVar[Mapping[str, Any]] = {"deadline": "12 ms", "late": "drop"}


class TestNoOlderModelCounts(PaceSuite):
    plugin = "fedasync"
    options: ClassVar[Mapping[str, Any]] = {"max_staleness": 0}


class TestSmallBuffer(PaceSuite):
    plugin = "fedbuff"
    options: ClassVar[Mapping[str, Any]] = {"buffer": 2, "weighting": "hinge", "max_staleness": 1}


class TestTwoTiers(PaceSuite):
    plugin = "tifl"
    options: ClassVar[Mapping[str, Any]] = {"tiers": 2, "profiling": 2}


class TestManyEdgeRounds(PaceSuite):
    plugin = "hierarchical"
    options: ClassVar[Mapping[str, Any]] = {"edge_rounds": 2, "deadline": "100 ms"}


@pytest.mark.parametrize("name", GOVERNORS.names())
class TestGovernors(GovernorSuite):
    pass


class TestFixedClocks(GovernorSuite):
    plugin = "fixed"
    options: ClassVar[Mapping[str, Any]] = {"cpu": "1 GHz", "gpu": "1 GHz", "memory": "500 MHz"}


class TestAlways(AvailabilitySuite):
    plugin = "always"


class TestRandom(AvailabilitySuite):
    plugin = "random"
    options: ClassVar[Mapping[str, Any]] = {"up": "100 ms", "down": "50 ms", "away": "sleep"}


class TestWindows(AvailabilitySuite):
    plugin = "windows"
    options: ClassVar[Mapping[str, Any]] = {"on": [["0 s", "1 s"], ["2 s", "3 s"]], "period": "4 s"}


class TestCharging(AvailabilitySuite):
    plugin = "charging"
    world: ClassVar[tuple[str, ...]] = (
        'fleet[0].battery={capacity: "20 Wh", charger: {power: "10 W"}}',
    )


class TestPresenceReplay(AvailabilitySuite):
    plugin = "replay"
    options: ClassVar[Mapping[str, Any]] = {"file": str(PRESENCE), "start": "random"}
    steps: ClassVar[tuple[tuple[float, float], ...]] = ((0.0, 1.0), (3.0, 0.0), (5.0, 1.0))


@pytest.mark.parametrize("name", NETWORKS.names())
class TestNetworks(NetworkSuite):
    pass


class TestReplay(BandwidthSuite):
    plugin = "replay"
    options: ClassVar[Mapping[str, Any]] = {"file": "walk.csv"}


class TestClampedReplay(BandwidthSuite):
    plugin = "replay"
    options: ClassVar[Mapping[str, Any]] = {"file": "walk.csv", "end": "clamp"}


class TestMarkov(BandwidthSuite):
    plugin = "markov"
    options: ClassVar[Mapping[str, Any]] = {
        "low": "0 bit/s", "median": "5 Mbit/s", "high": "1 Gbit/s", "dwell": "3 s",
    }  # fmt: skip


def test_every_bandwidth_trace_is_tested() -> None:
    assert BANDWIDTHS.names() == sorted({each.plugin for each in (TestReplay, TestMarkov)})


@pytest.mark.parametrize("name", PARTITIONS.names())
class TestPartitions(PartitionSuite):
    pass


APART = {"stitched", "resnet34"}
"""Models that need options, or take long without."""


@pytest.mark.parametrize("name", [name for name in MODELS.names() if name not in APART])
class TestModels(ModelSuite):
    pass


class TestResNet34(ModelSuite):
    """Narrow, for time; otherwise it is resnet18 with more blocks."""

    plugin = "resnet34"
    options: ClassVar[Mapping[str, Any]] = {"width": 0.125}


class TestStitched(ModelSuite):
    plugin = "stitched"
    options: ClassVar[Mapping[str, Any]] = {
        "parts": [["plain_cnn", [["width", 0.25]], 0, 2], ["resnet8", [], 1, 3]]
    }


@pytest.mark.parametrize("name", list_profiles())
class TestDevices(DeviceSuite):
    pass


@pytest.mark.parametrize("name", [name for name in DATA.names() if name not in NEED_FILES])
class TestData(DataSuite):
    pass


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NEED_FILES],
    scope="class",  # one set after the other, so that each is read once
)
class TestDataFromFiles(DataSuite):
    @pytest.fixture
    def place(self, shared: Path) -> Path:
        return shared / "data"


# --- plug-ins of others ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere(FedAvg):
    """A method that lives in another package, under another name."""


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry that finds two announced methods, one under a name that hetsim has already."""
    points = [
        EntryPoint(name, f"{__name__}:Elsewhere", "hetsim.methods")
        for name in ("elsewhere", "fedavg")
    ]
    asked: list[str] = []

    def installed(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [point for point in points if point.group == group]

    monkeypatch.setattr(registry, "entry_points", installed)
    monkeypatch.setattr(EntryPoint, "load", lambda point: Elsewhere)
    fresh = Registry("method", "hetsim.methods", "hetsim.methods")
    assert "elsewhere" in fresh.names()
    assert asked == ["hetsim.methods"]
    return fresh


def test_an_announced_plugin_is_found_and_ours_keep_their_names(announced: Registry) -> None:
    assert announced.load("elsewhere") is Elsewhere
    assert announced.load("fedavg") is FedAvg
    with pytest.raises(UnknownName, match='Did you mean "elsewhere"'):
        announced.load("elsewere")


def test_an_announced_method_runs_like_ours(
    announced: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS.__dict__, "_foreign", announced.__dict__["_foreign"])
    assert play(tiny("method.name=elsewhere")).hashes == play(tiny()).hashes
