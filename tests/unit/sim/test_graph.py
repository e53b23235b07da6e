import pytest
import simpy

from hetsim.core.errors import HetsimError
from hetsim.core.registry import NETWORKS
from hetsim.sim.clock import Call
from hetsim.sim.graph import Network
from hetsim.sim.network.base import Station
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.network_model import Lv08, MaxMin, MaxMinInverseLatency, NetworkModel
from hetsim.sim.requests import Child, Gather, Transfer
from hetsim.sim.sharing import Sharing
from hetsim.sim.world import World


def line_world(shared: bool = False) -> tuple[Network, list[str]]:
    network = Network(Sharing(simpy.Environment()))
    for cell in "xyz":
        network.add_cell(cell)
        network.place(f"at-{cell}", cell)
    network.add_link("x", "y", 10.0, 0.25, shared=shared)
    network.add_link("y", "z", 20.0, 0.5)
    return network, ["at-x", "at-z"]


def names(network: Network, source: str, target: str) -> dict[str, float]:
    return {line.name: use for line, use in network.route(source, target).uses.items()}


def test_a_route_takes_every_line_on_the_way():
    network, (x, z) = line_world()
    assert names(network, x, z) == {"x-y": 1.0, "y-z": 1.0}
    assert network.route(x, z).latency == 0.75
    assert network.route(x, z).duration(30.0) == 3.0
    assert {line.name for line in network.resources()} == {"x-y", "y-x", "y-z", "z-y"}


def test_directions_are_apart_unless_the_line_is_shared():
    apart, (x, z) = line_world()
    assert names(apart, z, x) == {"z-y": 1.0, "y-x": 1.0}
    shared, _ = line_world(shared=True)
    assert names(shared, z, x) == {"z-y": 1.0, "x-y": 1.0}


def test_the_way_of_least_latency_wins():
    network, (x, z) = line_world()
    network.add_link("x", "z", 1.0, 0.8)
    assert names(network, x, z) == {"x-y": 1.0, "y-z": 1.0}
    faster, _ = line_world()
    faster.add_link("x", "z", 1.0, 0.7)
    assert names(faster, x, z) == {"x-z": 1.0}


def test_a_new_line_is_taken_by_routes_asked_for_before():
    network, (x, z) = line_world()
    assert names(network, x, z) == {"x-y": 1.0, "y-z": 1.0}
    network.add_link("x", "z", 1.0, 0.1)
    assert names(network, x, z) == {"x-z": 1.0}


def test_no_path_says_so():
    network, (x, _) = line_world()
    network.add_cell("island")
    network.place("far", "island")
    with pytest.raises(HetsimError, match="no path from x to island"):
        network.route(x, "far")


def test_an_unknown_end_says_so():
    network, _ = line_world()
    with pytest.raises(HetsimError, match=r'"at-zz" is not in the network\. .* "at-z"'):
        network.route("at-x", "at-zz")


def test_two_stations_of_one_wifi_cell_use_its_air_twice():
    world = World()
    world.server()
    world.device("a")
    world.device("b")
    world.cell("ap", Wifi(latency=0.5), {"a": 10.0, "b": 5.0}, power=(2.0, 1.0))
    route = world.kernel.network.route("a", "b")
    [(air, use)] = route.uses.items()
    assert (air.name, use) == ("ap/airtime", 1 / 10 + 1 / 5)
    assert route.latency == 1.0
    a, b = world.kernel.node("a"), world.kernel.node("b")
    assert route.payers == {a: {"radio": 2.0 / 10}, b: {"radio": 1.0 / 5}}


STATIONS = [Station(name="slow", up=6.0, down=12.0), Station(name="fast", up=54.0, down=24.0)]


def test_wifi_stations_take_airtime_by_their_rate():
    hops = Wifi(latency=0.1).attach("ap", STATIONS)
    (up, down), (fast, _) = hops["slow"], hops["fast"]
    assert list(up.uses.values()) == [1 / 6]
    assert list(down.uses.values()) == [1 / 12]
    assert list(up.uses) == list(down.uses) == list(fast.uses)
    assert (up.latency, up.weight, fast.weight) == (0.1, 1.0, 1.0)


def test_lte_stations_weigh_as_much_as_they_are_fast():
    hops = Lte().attach("cell", STATIONS)
    (up, down), (fast, _) = hops["slow"], hops["fast"]
    assert fast.weight / up.weight == pytest.approx(9)
    assert list(up.uses) == list(fast.uses) != list(down.uses)
    assert up.latency == Lte().latency


def test_ethernet_stations_have_lines_of_their_own():
    hops = Ethernet().attach("switch", STATIONS)
    lines = [line for pair in hops.values() for hop in pair for line in hop.uses]
    assert len(set(lines)) == 4
    assert [line.capacity for line in lines] == [6.0, 12.0, 54.0, 24.0]


@pytest.mark.parametrize("name", NETWORKS.names())
def test_a_station_can_have_a_latency_of_its_own(name: str):
    technology = NETWORKS.load(name)()
    near = Station(name="near", up=1.0, down=1.0, latency=0.0)
    hops = technology.attach("cell", [near, Station(name="usual", up=1.0, down=1.0)])
    assert [hop.latency for hop in hops["near"]] == [0.0, 0.0]
    there, back = hops["usual"]
    assert there.latency == back.latency > 0.0


# --- sharing models -------------------------------------------------------------------------------


def modelled(model: NetworkModel) -> World:
    """Stations a and b behind lines of 10 and 20 B/s to a server, 0.25 s away."""
    world = World()
    world.server()
    network = world.kernel.network
    network.model = model
    for name, bandwidth in (("a", 10.0), ("b", 20.0)):
        world.device(name)
        network.add_cell(f"at-{name}")
        network.add_link(f"at-{name}", "edge", bandwidth, 0.25)
        network.place(name, f"at-{name}")
    return world


def test_lv08_counts_headers_acknowledgements_and_slow_start():
    world = modelled(Lv08(bias=4.0, window=8.0))
    route = world.kernel.network.route("a", "server")
    assert route.latency == pytest.approx(13.01 * 0.25)
    uses = {line.name: use for line, use in route.uses.items()}
    assert uses == {"at-a-edge": pytest.approx(1 / 0.97), "edge-at-a": pytest.approx(0.05 / 0.97)}
    assert route.weight == pytest.approx(0.97 / (0.25 + 4 / 10))
    assert route.cap == pytest.approx(0.97 * 8 / (2 * 0.25))


def test_on_a_shared_line_acknowledgements_meet_the_bytes():
    network, (x, z) = line_world(shared=True)
    network.model = Lv08()
    assert names(network, x, z)["x-y"] == pytest.approx(1.05 / 0.97)


def test_a_weight_follows_the_bandwidth_of_now():
    world = modelled(Lv08(bias=4.0))
    network = world.kernel.network
    route = network.route("a", "server")
    network.change(network.line("at-a", "edge"), rate=5.0)
    assert route.weight == pytest.approx(0.97 / (0.25 + 4 / 5))
    assert network.route("a", "server") is route


def test_running_flows_get_new_weights_when_a_bandwidth_changes():
    """Two flows share a last line of 1 B/s; the first line of one of them slows down at t = 10."""
    world = modelled(Lv08(slow_start=0.0, efficiency=1.0, bias=5.0, acknowledgements=0.0))
    network = world.kernel.network
    network.add_cell("far")
    network.add_link("edge", "far", 1.0, 0.0)
    network.place("store", "far")
    world.device("store")
    sizes = {"a": 100.0, "b": 100.0}

    async def one(name: str) -> None:
        await Transfer(source=name, target="store", size=sizes[name])

    async def both() -> None:
        children = tuple(Child(script=one(name), node=name) for name in sizes)
        await Gather(children=children, deadline=20.0)

    line = network.line("at-b", "edge")
    Call(world.kernel.env, lambda: network.change(line, rate=5.0), 10.0)
    world.run(both())
    weights = [1 / (0.25 + 5.0 + 5.0 / 10), 1 / (0.25 + 5.0 + 5.0 / 20), 1 / (0.25 + 5.0 + 5.0 / 5)]
    a, before, after = weights
    moved = {span.actor: span.size for span in world.trace.spans}
    assert moved["a"] == pytest.approx(10 * a / (a + before) + 10 * a / (a + after))
    assert moved["a"] + moved["b"] == pytest.approx(20.0)


@pytest.mark.parametrize("model", [MaxMin(), MaxMinInverseLatency(), Lv08()])
def test_an_outage_stops_flows_and_their_joules(model: NetworkModel):
    world = modelled(model)
    network = world.kernel.network
    line = network.line("at-a", "edge")

    usual = modelled(model).run(_upload_of(50.0))
    for when, up in ((5.0, False), (11.0, True)):
        Call(world.kernel.env, lambda up=up: network.change(line, up=up), when)
    assert world.run(_upload_of(50.0)) == pytest.approx(usual + 6.0)


async def _upload_of(size: float) -> None:
    await Transfer(source="a", target="server", size=size)


def test_a_change_that_changes_nothing_solves_nothing():
    world = modelled(MaxMin())
    network = world.kernel.network
    network.change(network.line("at-a", "edge"), rate=10.0, up=True)
    world.kernel.env.run()
    assert world.kernel.sharing.solves == 0
