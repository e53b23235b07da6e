import pytest

from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.world import World


@pytest.fixture
def world() -> World:
    """A server and the devices a, b, c of 1 flop/s (1 W idle, +1 W busy), 1 B/s each, no latency.

    Scripts must have received what they use.
    """
    world = World(causality=True)
    world.server()
    for name in "abc":
        world.device(name)
    world.cell("switch", Ethernet(latency=0.0), {"a": 1.0, "b": 1.0, "c": 1.0})
    return world
