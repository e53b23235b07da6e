"""Conformance suites: what every plug-in of a kind promises, as tests to inherit.

A plug-in's author writes one class and runs pytest (`pip install "hetsim[test]"`):

    from hetsim.testing import MethodSuite

    class TestMine(MethodSuite):
        plugin = "mine"                  # the name under which a topology finds it
        options = {"strength": 0.5}      # what it cannot do without, as in a file

`tiny` builds the four-device world that the suites play in, `play` simulates it.
"""

from hetsim.testing.availability import AvailabilitySuite
from hetsim.testing.bandwidth import BandwidthSuite
from hetsim.testing.data import DataSuite
from hetsim.testing.device import DeviceSuite
from hetsim.testing.executor import ExecutorSuite, Shuffled
from hetsim.testing.governor import GovernorSuite
from hetsim.testing.method import MethodSuite
from hetsim.testing.model import ModelSuite
from hetsim.testing.network import NetworkSuite
from hetsim.testing.pace import PaceSuite
from hetsim.testing.partition import PartitionSuite
from hetsim.testing.selection import SelectionSuite
from hetsim.testing.suite import PluginSuite, Suite
from hetsim.testing.world import Played, check_books, play, tiny

__all__ = [
    "AvailabilitySuite",
    "BandwidthSuite",
    "DataSuite",
    "DeviceSuite",
    "ExecutorSuite",
    "GovernorSuite",
    "MethodSuite",
    "ModelSuite",
    "NetworkSuite",
    "PaceSuite",
    "PartitionSuite",
    "Played",
    "PluginSuite",
    "SelectionSuite",
    "Shuffled",
    "Suite",
    "check_books",
    "play",
    "tiny",
]
