"""A cell whose scheduler gives busy stations equal time, each direction apart.

A station at rate r needs 1 / r seconds of the cell a byte. With weights in proportion to the rates,
weighted max-min shares are equal shares of the time: 6 and 54 Mbit/s become 3 and 27.
"""

from __future__ import annotations

from hetsim.core.quantities import Seconds
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.sharing import Resource


def equal_time(
    up: Resource, down: Resource, stations: list[Station], latency: Seconds
) -> dict[str, tuple[Hop, Hop]]:
    """Hops of all stations of a cell.

    Args:
        up: airtime of the cell in one direction, one second a second.
        down: in the other; may be the same.
        stations: of the cell.
        latency: of a station without one of its own.
    """
    mean_up = sum(station.up for station in stations) / len(stations)
    mean_down = sum(station.down for station in stations) / len(stations)
    hops: dict[str, tuple[Hop, Hop]] = {}
    for station in stations:
        own = latency if station.latency is None else station.latency
        hops[station.name] = (
            Hop(uses={up: 1.0 / station.up}, rate=station.up, latency=own,
                weight=station.up / mean_up, by_time=True),
            Hop(uses={down: 1.0 / station.down}, rate=station.down, latency=own,
                weight=station.down / mean_down, by_time=True),
        )  # fmt: skip
    return hops
