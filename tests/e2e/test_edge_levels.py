"""The fleet on which methods of several model sizes are compared: why a device takes which size."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from hetsim.learn.lab import CostOnlyLab
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve

NO_ROOM, SLOW, CONNECTED = ("nano", "gateway", "zero"), ("pi3", "phone", "phone-old"), ("orin",)


@pytest.mark.parametrize("method", ["heterofl", "depthfl", "fedhm"])
def test_a_device_takes_less_for_want_of_memory_or_of_time(method: str) -> None:
    scenario = resolve(load_topology("edge_levels", overrides=(f"method.name={method}",)))
    run = scenario.world(CostOnlyLab())
    chosen: Any = scenario.method()
    levels = chosen.levels(run)
    assert len(run.clients) == 60
    taken, whole = defaultdict[str, set[int]](set), defaultdict[str, set[bool]](set)
    for client in run.clients:
        group = client.id.rpartition("-")[0]
        level = levels.of(client, 0)
        assert client.node.fits(levels.cost(client, level).memory)
        taken[group].add(level)
        whole[group].add(client.node.fits(levels.cost(client, 0).memory))
    smallest = len(levels.sizes) - 1
    assert levels.used == list(range(len(levels.sizes)))
    for group in NO_ROOM:
        assert whole[group] == {False}
        assert 0 not in taken[group]
    for group in SLOW:
        assert whole[group] == {True}
        assert 0 not in taken[group]
    for group in CONNECTED:
        assert taken[group] == {0}
    assert taken["phone-old"] == {smallest}
