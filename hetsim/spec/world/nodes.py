"""Server, gateways and devices of a blueprint as nodes of a kernel, and what happens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetsim.core.rng import rng
from hetsim.federation.client import Hub
from hetsim.sim.availability.base import Circumstances
from hetsim.sim.availability.charging import Charging
from hetsim.sim.device import Profile, Radio
from hetsim.sim.governors.performance import Performance
from hetsim.sim.incident import Incidents
from hetsim.sim.kernel import Kernel
from hetsim.sim.node import Node
from hetsim.sim.presence import OFF_CHARGER, Presence
from hetsim.sim.reboots import Reboots
from hetsim.sim.supply import together

if TYPE_CHECKING:
    from hetsim.spec.schema import Event
    from hetsim.spec.world.blueprint import Blueprint
    from hetsim.spec.world.member import Member

SERVER = "server"
"""Name of its node."""


def server(blueprint: Blueprint, kernel: Kernel) -> Hub:
    """The server, at its network node."""
    at = blueprint.spec.server.at
    return Hub(_hub(kernel, SERVER, SERVER, blueprint.profiles[-1], at))


def gateways(blueprint: Blueprint, kernel: Kernel) -> list[Hub]:
    """The gateways, in the order of the topology."""
    profiles = blueprint.profiles[len(blueprint.spec.fleet) : -1]
    return [
        Hub(_hub(kernel, gateway.name, "gateway", profile, gateway.at))
        for gateway, profile in zip(blueprint.spec.gateways, profiles, strict=True)
    ]


def _hub(kernel: Kernel, name: str, role: str, profile: Profile, at: str) -> Node:
    """A computer at a network node, on mains and at full speed: the server or a gateway."""
    node = Node(
        kernel.env, kernel.trace, name, role,
        base=_base(profile, Radio(transmit=0.0, receive=0.0)), profile=profile,
        governor=Performance(),
    )  # fmt: skip
    kernel.add(node)
    kernel.network.place(name, at)
    return node


def device(blueprint: Blueprint, kernel: Kernel, member: Member) -> Node:
    """A device with its governor, heat, battery and what feeds it; not yet on the network."""
    group, profile = member.group, member.profile
    base = _base(profile, blueprint.wiring.radio(member))
    heat = battery = None
    if member.pack and group.battery:
        battery = member.pack.charged(group.battery.charge)
    if profile.heat:
        heat = profile.heat.at_rest(group.ambient, sum(base["idle"].values()))
        if group.temperature is not None:
            heat = profile.heat.at(group.temperature, group.ambient)
    node = Node(
        kernel.env, kernel.trace, member.name, "device", base=base, profile=profile,
        governor=member.governor, battery=battery, heat=heat, seed=blueprint.spec.seed,
    )  # fmt: skip
    kernel.add(node)
    if battery and (sources := blueprint.sources(member.place)):
        node.feed(together(sources))
    return node


def fate(blueprint: Blueprint, kernel: Kernel) -> None:
    """Coming and going, crashes, and what happens from outside."""
    presences: dict[str, Presence] = {}
    for member in blueprint.members():
        name, crashes = member.name, member.group.crashes
        presence = presences[name] = Presence(kernel, kernel.nodes[name])
        stream = rng(blueprint.spec.seed, "sim/churn", name)
        away = member.availability.away
        about = Circumstances(
            rng=stream, offered=together(blueprint.sources(member.place)),
            steps=blueprint.steps(member.place),
        )  # fmt: skip
        charging = isinstance(member.availability, Charging)
        reason = OFF_CHARGER if charging else "left"
        presence.follow(reason, member.availability.changes(about), away)
        if crashes:
            stream = rng(blueprint.spec.seed, "sim/crashes", name)
            rebooting = Reboots(every=crashes.every, reboot=crashes.reboot)
            presence.follow("crashed", rebooting.changes(stream), rebooting.away)
    for gateway in blueprint.spec.gateways:
        presences[gateway.name] = Presence(kernel, kernel.nodes[gateway.name])
    incidents = Incidents(kernel, presences)
    for event in blueprint.spec.events:
        _event(blueprint, incidents, event)


def _event(blueprint: Blueprint, incidents: Incidents, event: Event) -> None:
    network, on, when, lasts = incidents.kernel.network, event.on, event.at, event.lasts
    names = [
        member.name for member in blueprint.members() if on in (member.name, member.group.label)
    ] or [on]  # fmt: skip
    match event.what:
        case "crash":
            for name in names:
                incidents.crash(name, when, lasts)
        case "cancel":
            for name in names:
                incidents.cancel(name, when)
        case "pause":
            for name in names:
                incidents.pause(name, when, lasts)
        case "outage" if names != [on] or on in incidents.presences:
            for name in names:
                incidents.outage(name, network.ways(name), when, lasts)
        case "outage":
            incidents.outage(on, network.legs(on), when, lasts)
        case "bandwidth":
            assert event.to is not None
            incidents.bandwidth(on, network.legs(on), event.to, when, lasts)


def _base(profile: Profile, radio: Radio) -> dict[str, dict[str, float]]:
    return {
        "idle": {"idle": profile.idle, "radio_idle": radio.idle},
        "sleep": {"sleep": profile.sleep},
        "off": {"off": profile.off},
    }
