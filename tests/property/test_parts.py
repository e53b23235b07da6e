"""Laws of batteries and heat, whatever is drawn and offered, and however often one looks."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.sim.battery import BatteryPack, BatteryState, Wells
from hetsim.sim.heat import Body, HeatState, Trip
from hetsim.sim.requests import Sleep
from hetsim.sim.world import World, domain, profile

CAPACITY = 40_000.0
shares = st.floats(0.01, 0.99)
watts = st.floats(0.0, 20.0)
durations = st.floats(1e-3, 5_000.0)
segments = st.lists(st.tuples(watts, watts, durations), min_size=1, max_size=12)
"""(load, supply, seconds)"""


@st.composite
def packs(draw: st.DrawFn) -> BatteryPack:
    middle = draw(st.floats(3.0, 4.3))
    return BatteryPack(
        capacity=CAPACITY,
        efficiency=draw(st.floats(0.5, 1.0)),
        charge_efficiency=draw(st.floats(0.5, 1.0)),
        restart=draw(shares),
        model=draw(st.sampled_from(["linear", "voltage", "kibam"])),
        voltage=((0.0, 3.0), (draw(shares), middle), (1.0, draw(st.floats(middle, 4.4)))),
        cutoff=draw(st.floats(2.9, 2.999) | st.floats(3.0, middle - 1e-3).filter(lambda v: v > 3.0))
        if middle > 3.1
        else 0.0,
        wells=Wells(available=draw(shares), rate=draw(st.floats(1e-6, 1e-1))),
    )


def play(battery: BatteryState, load: float, supply: float, dt: float) -> float:
    """Draw `load` for `dt`, or what the source gives once it is empty; returns joules drawn."""
    battery.supply, drawn = supply, 0.0
    while dt > 0.0:
        draw = {"idle": min(load, supply) if battery.empty else load}
        step = min(battery.horizon(draw), dt)
        if step > 0.0:
            drawn += draw["idle"] * step
            drawn += battery.advance({"idle": draw["idle"] * step}, step)
        if step < dt:
            battery.reach(draw)
        dt -= step
    return drawn


@given(packs(), shares, segments)
def test_a_battery_falls_by_what_the_ledger_says(
    pack: BatteryPack, charge: float, course: list[tuple[float, float, float]]
) -> None:
    battery = pack.charged(charge)
    start, drawn = battery.charge, 0.0
    for load, supply, dt in course:
        drawn += play(battery, load, supply, dt)
        assert 0.0 <= battery.charge <= CAPACITY
        assert battery.store.level <= 1.0 + 1e-12
    fallen = drawn - battery.supplied - battery.charged
    assert start - battery.charge == pytest.approx(fallen, abs=1e-9 * (CAPACITY + drawn))
    assert battery.charged >= 0.0
    assert battery.supplied >= 0.0


@given(packs(), shares, watts, watts, durations, st.lists(shares, max_size=5))
def test_looking_at_a_battery_changes_nothing(
    pack: BatteryPack, charge: float, load: float, supply: float, dt: float, cuts: list[float]
) -> None:
    whole, cut = pack.charged(charge), pack.charged(charge)
    play(whole, load, supply, dt)
    for one, other in pairwise([0.0, *sorted(cuts), 1.0]):
        if other > one:
            play(cut, load, supply, dt * (other - one))
    assert cut.charge == pytest.approx(whole.charge, rel=1e-12, abs=1e-12 * CAPACITY)
    assert cut.charged == pytest.approx(whole.charged, rel=1e-12, abs=1e-12 * CAPACITY)
    assert cut.store.level == pytest.approx(whole.store.level, rel=1e-11, abs=1e-11)


@given(packs(), shares, st.floats(0.01, 20.0))
def test_a_battery_is_empty_when_it_says(pack: BatteryPack, charge: float, load: float) -> None:
    battery = pack.charged(charge)
    left = battery.horizon({"idle": load})
    if left == 0.0:
        assert battery.store.level <= 0.0
        return
    assert left < inf
    battery.advance({"idle": load * left * 0.999}, left * 0.999)
    assert battery.store.level > 0.0
    rest = battery.horizon({"idle": load})
    assert rest == pytest.approx(left * 1e-3, rel=1e-6)
    battery.advance({"idle": load * rest}, rest)
    assert battery.store.level == pytest.approx(0.0, abs=1e-11)


bodies = st.builds(
    lambda resistance, capacity: Body(
        resistance=resistance, capacity=capacity,
        trips=(Trip(domain="cpu", at=60.0, resume=50.0, point=0),),
    ),
    st.floats(0.1, 50.0),
    st.floats(0.1, 500.0),
)  # fmt: skip


@given(bodies, st.floats(-20.0, 45.0), st.floats(-20.0, 100.0), watts, durations,
       st.lists(shares, max_size=5))  # fmt: skip
def test_looking_at_a_body_changes_nothing(
    body: Body, ambient: float, start: float, load: float, dt: float, cuts: list[float]
) -> None:
    whole, cut = body.at(start, ambient), body.at(start, ambient)
    whole.advance({"idle": load * dt}, dt)
    for one, other in pairwise([0.0, *sorted(cuts), 1.0]):
        step = dt * (other - one)
        if step > 0.0:
            cut.advance({"idle": load * step}, step)
    steady = ambient + load * body.resistance
    scale = abs(start) + abs(steady) + 1.0
    assert cut.temperature == pytest.approx(whole.temperature, abs=1e-12 * scale)
    low, high = sorted((start, steady))
    assert low - 1e-12 * scale <= whole.temperature <= high + 1e-12 * scale
    assert whole.hottest == pytest.approx(max(start, whole.temperature), abs=1e-12 * scale)


@given(bodies, st.floats(-20.0, 45.0), st.floats(0.01, 20.0))
def test_heat_in_is_heat_stored_and_heat_lost(body: Body, ambient: float, load: float) -> None:
    """P dt = C dT + integral of (T - T_a) / R, the last by Simpson's rule over short steps."""
    heat: HeatState = body.at(ambient, ambient)
    span = body.resistance * body.capacity
    steps, lost = 200, 0.0
    for _ in range(steps):
        values = [heat.temperature]
        for _ in range(2):
            heat.advance({"idle": load * span / steps / 2}, span / steps / 2)
            values.append(heat.temperature)
        mean = (values[0] + 4.0 * values[1] + values[2]) / 6.0
        lost += (mean - ambient) / body.resistance * span / steps
    stored = body.capacity * (heat.temperature - ambient)
    assert stored + lost == pytest.approx(load * span, rel=1e-9)


@given(bodies, st.floats(-20.0, 45.0), watts)
def test_a_trip_begins_when_it_says(body: Body, ambient: float, load: float) -> None:
    heat = body.at(ambient, ambient)
    left = heat.horizon({"idle": load})
    steady = ambient + load * body.resistance
    assert (left < inf) == (steady > 60.0)
    if left < inf:
        heat.advance({"idle": load * left}, left)
        assert heat.temperature == pytest.approx(60.0, abs=1e-11 * (1.0 + abs(steady)))
        heat.reach({"idle": load})
        assert heat.tripped == [True]
        assert heat.horizon({"idle": load}) == inf, "it cannot begin twice"


@given(packs(), bodies, segments, st.integers(0, 5))
def test_looking_at_a_node_changes_nothing(
    pack: BatteryPack, body: Body, course: list[tuple[float, float, float]], looks: int
) -> None:
    """Settled at any instants in between, a node ends with the same joules, charge and heat."""

    def run(looks: int) -> tuple[float, ...]:
        world = World()
        world.server()
        battery = pack.charged(0.5)
        node = world.device("a", profile(domain((1.0, 1.0)), idle=1.0, heat=body), battery=battery)
        begun, offers = 0.0, list[tuple[float, float]]()
        for _, supply, dt in course:
            offers.append((begun, supply))
            begun += dt
        node.feed(iter(offers))
        start = battery.charge

        async def server() -> None:
            for load, _, dt in course:
                node.steady("load", "compute", load)
                for _ in range(looks + 1):
                    await Sleep(duration=dt / (looks + 1))
                    node.settle(world.kernel.env.now)

        end = world.run(server())
        assert node.heat
        fallen = node.total - battery.supplied - battery.charged
        assert start - battery.charge == pytest.approx(fallen, abs=1e-9 * (CAPACITY + node.total))
        power = [c for c in world.trace.counters if c[1:3] == ("a", "power_w")]
        drawn = sum(
            one.value * (other - one.t)
            for one, other in zip(power, [*(c.t for c in power[1:]), end], strict=True)
        )
        lost = node.energy.get("loss", 0.0)
        assert drawn == pytest.approx(node.total - lost, rel=1e-9, abs=1e-9)
        assert all(joules >= 0.0 for joules in node.energy.values())
        warm = [c.value for c in world.trace.counters if c[1:3] == ("a", "temperature_c")]
        assert max(warm) <= node.heat.hottest + 1e-9
        assert max(warm) >= node.heat.hottest - node.heat.grain
        return (node.total, battery.charge, battery.charged, node.heat.temperature,
                float(len(world.trace.notes)))  # fmt: skip

    assert run(looks) == pytest.approx(run(0), rel=1e-9, abs=1e-7)
