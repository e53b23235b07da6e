"""A small world put together by hand, for examples and for testing a plug-in without a topology.

>>> from hetsim.sim.network.ethernet import Ethernet
>>> from hetsim.sim.requests import Transfer
>>> world = World()
>>> world.server(), world.device("phone")
(<Node server>, <Node phone>)
>>> world.cell("switch", Ethernet(latency=0.5), {"phone": 4.0})
>>> async def upload() -> None:
...     await Transfer(source="phone", target="server", size=10.0)
>>> world.run(upload())
3.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from hetsim.core.quantities import Celsius, Joules, Rate, Seconds, Watts
from hetsim.core.ref import Ref
from hetsim.core.trace import Trace
from hetsim.sim.battery import BatteryPack, BatteryState
from hetsim.sim.device import Profile, Radio
from hetsim.sim.dvfs import Domain, OperatingPoint
from hetsim.sim.governors.base import Governor, Planning
from hetsim.sim.governors.performance import Performance
from hetsim.sim.heat import ROOM
from hetsim.sim.kernel import Kernel, Observer
from hetsim.sim.leg import Attachment
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.node import Node
from hetsim.sim.radio import RadioState
from hetsim.sim.requests import Script

SERVER = "server"


def domain(*points: tuple[float, Watts], name: str = "cpu", **numbers: Any) -> Domain:
    """A domain of one flop a cycle, with points of (frequency, power)."""
    numbers = {"kind": "cpu", "flops_per_cycle": 1.0, **numbers}
    table = tuple(OperatingPoint(frequency=frequency, power=power) for frequency, power in points)
    return Domain(name=name, points=table, **numbers)


def profile(*domains: Domain, **numbers: Any) -> Profile:
    """A device of 1 flop/s that draws 1 W idle and 1 W more when busy, but for what is given."""
    numbers = {"name": "plain", "idle": 1.0, "sleep": 0.1, "off": 0.0, "memory": inf, **numbers}
    return Profile(
        title=numbers["name"],
        device_class="sbc",
        power_scope="board",
        domains=domains or (domain((1.0, 1.0)),),
        **numbers,
    )


class World:
    """A kernel, its nodes and its network.

    Attributes:
        kernel, trace: of this world.
    """

    def __init__(self, *, causality: bool = False, observer: Observer | None = None) -> None:
        self.trace = Trace()
        observing = {} if observer is None else {"observer": observer}
        self.kernel = Kernel(self.trace, causality=causality, **observing)

    def device(
        self,
        name: str,
        body: Profile | None = None,
        *,
        role: str = "device",
        governor: Governor | Planning | None = None,
        charge: Joules = inf,
        efficiency: float = 1.0,
        battery: BatteryState | None = None,
        ambient: Celsius = ROOM,
    ) -> Node:
        """Add a node; it runs on mains unless a `charge`, or a `battery`, is given.

        Where its body has heat, it starts at the temperature of its surroundings.
        """
        body = body or profile()
        if charge < inf:
            battery = BatteryPack(capacity=charge, efficiency=efficiency).charged(1.0)
        node = Node(
            self.kernel.env,
            self.trace,
            name,
            role,
            base={
                "idle": {"idle": body.idle}, "sleep": {"sleep": body.sleep},
                "off": {"off": body.off},
            },
            profile=body,
            governor=governor or Performance(),
            battery=battery,
            heat=body.heat.at(ambient, ambient) if body.heat else None,
        )  # fmt: skip
        self.kernel.add(node)
        return node

    def server(self, body: Profile | None = None, at: str = "edge") -> Node:
        """Add a server at the network node `at`."""
        self.kernel.network.add_cell(at)
        self.kernel.network.place(SERVER, at)
        return self.device(SERVER, body, role="server")

    def cell(
        self,
        name: str,
        technology: Technology,
        rates: Mapping[str, Rate],
        *,
        uplink: Rate = inf,
        to: str = "edge",
        power: tuple[Watts, Watts] | None = (0.0, 0.0),
    ) -> None:
        """Add a cell with its stations.

        Args:
            name: of the cell.
            technology: how its stations share it.
            rates: of each station by its name, the same up and down.
            uplink: rate of its line to the network node `to`, without latency.
            to: where that line ends.
            power: watts of a station's radio, (transmit, receive); None for the technology's.
        """
        network = self.kernel.network
        network.add_cell(name)
        if name != to:
            network.add_link(name, to, uplink, 0.0)
        stations = [Station(name=station, up=rate, down=rate) for station, rate in rates.items()]
        for station, (up, down) in zip(
            stations, technology.attach(name, stations).values(), strict=True
        ):
            node, states = self.kernel.nodes[station.name], technology.states
            network.attach(
                Attachment(
                    cell=name, station=station, up=up, down=down, node=node,
                    radio=Radio(transmit=power[0], receive=power[1]) if power else technology.radio,
                    state=RadioState(node, states) if states else None,
                )
            )  # fmt: skip

    def give(self, node: str, *refs: Ref[Any]) -> None:
        """Say that `node` holds `refs` from the start."""
        self.kernel.give(node, *refs)

    def run(self, script: Script[Any], node: str = SERVER) -> Seconds:
        """Play `script` to its end; returns the simulated time."""
        return self.kernel.run(script, node)

    def joules(self, *nodes: str) -> dict[str, Joules]:
        """Joules so far by kind, of `nodes` or of all."""
        kinds: dict[str, Joules] = {}
        for node in self._named(nodes):
            for kind, joules in node.energy.items():
                kinds[kind] = kinds.get(kind, 0.0) + joules
        return kinds

    def _named(self, names: Sequence[str]) -> list[Node]:
        return [self.kernel.node(name) for name in names or self.kernel.nodes]
