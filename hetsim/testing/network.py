"""What a network technology promises."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import pytest

from hetsim.core.quantities import Joules, Rate, Seconds
from hetsim.core.registry import NETWORKS, Registry
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.requests import Child, Gather, Transfer
from hetsim.sim.world import SERVER, World
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_SIZE = 1e6
_ROUNDING = 1 + 1e-9


class NetworkSuite(PluginSuite):
    """A technology serves every station, at its own rate when it is alone, and loses no byte.

    What contention costs is time; the joules of a byte's airtime stay the same.

    Attributes:
        rate: payload rate at which a station of this technology is tried.
    """

    registry: ClassVar[Registry] = NETWORKS
    rate: ClassVar[Rate] = 1e6

    def test_every_station_gets_a_way_up_and_down(self, made: Technology) -> None:
        stations = [
            Station(name=f"s{i}", up=self.rate * (i + 1), down=self.rate * (9 - i), latency=latency)
            for i, latency in enumerate((None, 0.0, 0.25))
        ]
        hops = made.attach("cell", stations)
        assert list(hops) == [station.name for station in stations]
        for station in stations:
            for hop in hops[station.name]:
                assert hop.uses, "a hop without resources would be infinitely fast"
                assert all(use > 0.0 and isfinite(use) for use in hop.uses.values())
                assert all(line.capacity > 0.0 for line in hop.uses)
                assert hop.weight > 0.0
                assert isfinite(hop.weight)
                assert 0.0 < hop.on_air <= 1.0 / hop.rate * _ROUNDING, "on the air for too long"
                assert 0.0 <= hop.latency < 60.0
                if station.latency is not None:
                    assert hop.latency == station.latency, "a station's own latency counts"

    def test_watts_are_not_negative(self, made: Technology) -> None:
        radio, states = made.radio, made.states
        watts = [made.power, radio.transmit, radio.receive, radio.idle]
        watts += [radio.sending, radio.receiving]
        if states:
            watts += [states.promoting, states.connected, states.tailing]
            assert min(states.promotion, states.tail) >= 0.0
        assert min(watts) >= 0.0

    def test_a_station_may_get_its_rate_from_the_technology(self, made: Technology) -> None:
        if made.rates is None:
            pytest.skip("a station of this technology has to be given its rate")
        assert all(rate > 0.0 and isfinite(rate) for rate in made.rates)
        for upload, rate in zip((True, False), made.rates, strict=True):
            took = _move(made, {"one": rate}, upload=upload).seconds["one"]
            assert took == pytest.approx(_wait(made, upload=upload) + _SIZE / rate, rel=1e-9)

    @pytest.mark.parametrize("upload", [True, False], ids=["up", "down"])
    def test_alone_a_station_has_its_own_rate(self, made: Technology, upload: bool) -> None:
        took = _move(made, {"one": self.rate}, upload=upload).seconds["one"]
        assert took == pytest.approx(_wait(made, upload=upload) + _SIZE / self.rate, rel=1e-9)

    @pytest.mark.parametrize("upload", [True, False], ids=["up", "down"])
    def test_together_nobody_is_faster_and_no_byte_is_lost(
        self, made: Technology, upload: bool
    ) -> None:
        rates = {"slow": self.rate, "middle": 3 * self.rate, "fast": 9 * self.rate}
        alone = {name: _move(made, {name: rate}, upload=upload) for name, rate in rates.items()}
        together = _move(made, rates, upload=upload)
        for name, moved in alone.items():
            assert together.seconds[name] * _ROUNDING >= moved.seconds[name]
            assert together.joules[name] == pytest.approx(moved.joules[name], rel=1e-9)

    def test_carries_a_run(self, name: str) -> None:
        mine = [f"network.nodes.ap.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(f"network.nodes.ap.technology={name}", *mine, "cost_only=true")
        played = play(scenario)
        assert played.summary["device_rounds"] == 6
        check_books(played.trace, scenario)


@dataclass(frozen=True, slots=True)
class _Moved:
    """Seconds after which each station was done, and joules of its radio's frames."""

    seconds: dict[str, Seconds]
    joules: dict[str, Joules]


def _wait(technology: Technology, *, upload: bool) -> Seconds:
    """Time before the first byte of a station that was quiet: promotion and latency."""
    hops = technology.attach("x", [Station(name="y", up=1.0, down=1.0)])["y"]
    states = technology.states
    return hops[not upload].latency + (states.promotion if states else 0.0)


def _move(technology: Technology, rates: dict[str, Rate], *, upload: bool) -> _Moved:
    """Let stations that start together move the same size each."""
    world = World()
    world.server()
    for name in rates:
        world.device(name)
    world.cell("cell", technology, rates, power=(2.0, 1.0))
    ended: dict[str, Seconds] = {}

    async def one(name: str) -> None:
        ends = (name, SERVER) if upload else (SERVER, name)
        await Transfer(source=ends[0], target=ends[1], size=_SIZE)
        ended[name] = world.kernel.env.now

    async def everyone() -> None:
        await Gather(children=tuple(Child(script=one(name), node=name) for name in rates))

    world.run(everyone())
    assert sum(span.size for span in world.trace.spans) == pytest.approx(_SIZE * len(rates))
    return _Moved(ended, {name: world.joules(name)["radio"] for name in rates})
