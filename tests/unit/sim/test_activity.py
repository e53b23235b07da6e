"""Activities and resources: progress, prices and tariffs, worked out by hand."""

from __future__ import annotations

import pytest
import simpy

from hetsim.core.trace import Trace
from hetsim.sim.clock import Call
from hetsim.sim.node import Node
from hetsim.sim.sharing import Activity, Resource, Sharing


class Yard:
    """A sharing, and a node that pays for a line."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.sharing = Sharing(self.env)
        self.trace = Trace()
        self.payer = Node(self.env, self.trace, "wire", "link", base={"idle": {"idle": 1.0}})
        self.line = Resource("line", 4.0)

    def flow(self, amount: float, *more: Resource) -> Activity:
        flow = Activity(amount, dict.fromkeys((self.line, *more), 1.0), lambda: None)
        self.sharing.start(flow)
        return flow

    def power(self) -> list[tuple[float, float]]:
        self.payer.settle(self.env.now)
        return [(c.t, c.value) for c in self.trace.counters if c.track == "power_w"]


@pytest.fixture
def yard() -> Yard:
    return Yard()


def test_a_tariff_is_paid_by_load_and_is_part_of_a_price(yard: Yard):
    yard.line.tariff = (yard.payer, "link", 0.5)
    first, second = yard.flow(8.0), yard.flow(2.0)
    yard.env.run(10.0)
    yard.payer.settle(10.0)
    assert (first.joules, second.joules) == (4.0, 1.0)
    assert yard.payer.energy == {"idle": 10.0, "link": 5.0}
    assert yard.power() == [(0.0, 3.0), (2.5, 1.0)]  # 4 a second at 0.5 J, whoever uses them


def test_a_line_with_one_user_is_charged_by_its_progress(yard: Yard):
    yard.line.tariff = (yard.payer, "link", 0.5)
    backbone = Resource("backbone", 3.0)
    flow = yard.flow(6.0, backbone)
    other = Activity(3.0, {backbone: 1.0}, lambda: None)
    yard.sharing.start(other)
    yard.env.run(2.0)
    assert yard.line.owner is flow
    assert yard.line.load == yard.line.carried(2.0) / 2.0 == 1.5
    yard.env.run(10.0)
    yard.payer.settle(10.0)
    assert yard.payer.energy["link"] == pytest.approx(3.0)


def test_a_line_keeps_count_when_it_is_shared_and_alone_again(yard: Yard):
    yard.line.tariff = (yard.payer, "link", 1.0)
    backbone = Resource("backbone", 100.0)
    long = Activity(20.0, {backbone: 1.0, yard.line: 1.0}, lambda: None)
    yard.sharing.start(long)
    Call(yard.env, lambda: yard.flow(4.0) and None, 1.0)
    yard.env.run(1.5)
    assert yard.line.bundles
    assert yard.line.load == 4.0
    yard.env.run(20.0)
    yard.payer.settle(20.0)
    assert yard.payer.energy["link"] == pytest.approx(24.0)
    assert yard.line.carried(20.0) == pytest.approx(24.0)
    assert yard.line.load == 0.0


def test_a_tariff_in_use_is_changed_by_the_sharing(yard: Yard):
    yard.line.tariff = (yard.payer, "link", 1.0)
    flow = yard.flow(16.0)
    with pytest.raises(ValueError, match="line is in use"):
        yard.line.tariff = None
    yard.env.run(1.0)
    yard.sharing.bill(yard.line, (yard.payer, "link", 2.0))
    yard.env.run(2.0)
    yard.sharing.bill(yard.line, None)
    yard.env.run(5.0)
    yard.payer.settle(5.0)
    assert yard.payer.energy["link"] == flow.joules == 4.0 * 1.0 + 4.0 * 2.0
    assert yard.payer.meters == {}


def test_progress_is_known_at_any_instant(yard: Yard):
    flow = yard.flow(8.0)
    yard.flow(100.0)
    yard.env.run(1.5)
    flow.settle(1.5)
    assert (flow.done, flow.rate) == (3.0, 2.0)
    flow.settle(1.5)
    assert flow.done == 3.0


def test_an_activity_that_has_ended_has_no_rate(yard: Yard):
    flow = yard.flow(4.0)
    assert flow.rate == 0.0  # nothing is solved yet
    yard.env.run(0.5)
    assert flow.rate == 4.0
    yard.env.run(2.0)
    flow.settle(2.0)
    assert (flow.rate, flow.done) == (0.0, 4.0)
