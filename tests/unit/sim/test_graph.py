import pytest

from hetsim.core.errors import HetsimError
from hetsim.core.registry import NETWORKS
from hetsim.sim.graph import Network
from hetsim.sim.network.base import Station
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.world import World


def line_world(shared: bool = False) -> tuple[Network, list[str]]:
    network = Network()
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
    assert [hop.latency for hop in hops["usual"]] == [technology.latency] * 2
