"""The network of a topology, laid out in a world: cells, lines, stations, traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, NoReturn

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.sim.bandwidth.base import Points, Trace
from hetsim.sim.device import Radio
from hetsim.sim.kernel import Kernel
from hetsim.sim.leg import Attachment, Leg
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.network_model import NETWORK_MODELS
from hetsim.sim.node import Node
from hetsim.sim.radio import RadioState
from hetsim.sim.varying import Varying
from hetsim.spec.load import Place, key_of

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec
    from hetsim.spec.sections import Link
    from hetsim.spec.world import Member


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What a network is made of.

    Attributes:
        spec: the topology.
        technologies: by network node, and by the name that stands for many.
        traces: by their place in the file.
        points: contents of trace files, by name.
    """

    spec: Spec
    technologies: Mapping[str, Technology]
    traces: Mapping[Place, Trace]
    points: Mapping[str, Points]

    def radio(self, member: Member) -> Radio:
        """Power of a member's radio: its profile's for the technology, else the technology's."""
        to = member.group.link.to
        network = self.spec.network
        node = network.nodes.get(to) or network.nodes[network.cells[to]]
        return member.profile.radios.get(node.technology.name, self.technologies[to].radio)

    def cell(self, member: Member) -> str:
        """The network node that a member hangs on."""
        cells = self._spread[member.place]
        return cells[member.number % len(cells)]

    @cached_property
    def _spread(self) -> list[tuple[str, ...]]:
        """Where the members of each group hang, in turn."""
        return [self.spec.network.spread(group.link.to) for group in self.spec.fleet]

    def check(self) -> None:
        """Refuse a device whose rate nobody knows, and a latency that the sharing cannot use.

        Raises:
            SpecError: with file and line.
        """
        for index, group in enumerate(self.spec.fleet):
            link, technology = group.link, self.technologies[group.link.to]
            place: Place = ("fleet", index, "link")
            station = self.station(group.label, link)
            if not (station.up and station.down):
                what = "the technology's own is zero." if technology.rates else "missing."
                remedy = 'Add `rate: "40 Mbit/s"`, or `up:` and `down:`.'
                self._fail(what, remedy, *place, "rate")
            hops = technology.attach(link.to, [station])
            if self.spec.network.sharing == "maxmin_inverse_latency" and not min(
                hop.latency for hop in hops[group.label]
            ):
                what = "maxmin_inverse_latency weighs by 1 / latency, and this one is zero."
                self._fail(what, "Give it a latency, or use another sharing.", *place, "latency")

    def _fail(self, what: str, remedy: str, *place: str | int) -> NoReturn:
        raise SpecError(what, where=self.spec.where(*place), key=key_of(place), remedy=remedy)

    def lay(self, kernel: Kernel) -> None:
        """Cells, and the lines between them."""
        network = kernel.network
        network.model = NETWORK_MODELS[self.spec.network.sharing]
        for name in self.spec.network.cells:
            network.add_cell(name)
            if self.technologies[name].power:
                kernel.add(_equipment(kernel, name, self.technologies[name].power))
        for index, a, b in self.spec.network.lines:
            line = self.spec.network.links[index]
            node, power = None, 0.0
            if line.power is not None:
                node, power = _equipment(kernel, f"{a}--{b}", line.power.idle), line.power.busy
                power -= line.power.idle
                kernel.add(node)
            network.add_link(
                a, b, line.bandwidth, line.latency,
                shared=line.duplex == "shared", node=node, power=power,
            )  # fmt: skip
            place = ("network", "links", index, "trace")
            self._follow(kernel, place, f"{a}--{b}", network.line(a, b), network.line(b, a))

    def attach(self, kernel: Kernel, members: Sequence[Member]) -> None:
        """Stations, each on its cell."""
        by_cell: dict[str, list[tuple[Member, Station]]] = {}
        for member in members:
            station = self.station(member.name, member.group.link)
            by_cell.setdefault(self.cell(member), []).append((member, station))
        for cell, there in by_cell.items():
            technology = self.technologies[cell]
            hops = technology.attach(cell, [station for _, station in there])
            states = technology.states
            for member, station in there:
                node = kernel.nodes[member.name]
                up, down = hops[member.name]
                kernel.network.attach(
                    Attachment(
                        cell=cell, station=station, up=up, down=down, node=node,
                        radio=self.radio(member),
                        state=RadioState(node, states) if states else None,
                    )
                )  # fmt: skip
                self._follow_all(kernel, member)

    def station(self, name: str, link: Link) -> Station:
        """A device as its technology sees it."""
        up, down = self.technologies[link.to].rates or (0.0, 0.0)
        return Station(
            name=name,
            up=link.up or up,
            down=link.down or down,
            latency=link.latency,
            cap=link.cap or inf,
        )

    def _follow_all(self, kernel: Kernel, member: Member) -> None:
        up, down = kernel.network.ways(member.name)
        for key, legs in (("trace", (up, down)), ("trace_up", (up,)), ("trace_down", (down,))):
            place = ("fleet", member.place, "link", key)
            stream = member.name if key == "trace" else f"{member.name} {key}"
            self._follow(kernel, place, stream, *legs)

    def _follow(self, kernel: Kernel, place: Place, stream: str, *legs: Leg) -> None:
        """Let legs follow the trace at `place`, if there is one."""
        trace = self.traces.get(place)
        if trace is None:
            return
        draws = rng(self.spec.seed, "sim/bandwidth", stream)
        signal = trace.signal(self.points[trace.file] if trace.file else None, draws)
        Varying(kernel.env, kernel.network, legs, signal)


def _equipment(kernel: Kernel, name: str, power: float) -> Node:
    """An access point, a switch or a line: it only draws power."""
    return Node(
        kernel.env, kernel.trace, name, "link",
        base={"idle": {"idle": power}, "off": {}}, power_scope="wall",
    )  # fmt: skip
