"""From a checked topology to a world ready to run.

`resolve` looks names up, loads profiles and data and prices the model: after it, nothing the user
wrote can be wrong. `Scenario.play` then builds kernel, network, nodes and clients, plays the method
and adds up.
"""

from hetsim.spec.world.lookup import resolve
from hetsim.spec.world.member import Member
from hetsim.spec.world.scenario import MANY, Scenario

__all__ = ["MANY", "Member", "Scenario", "resolve"]
