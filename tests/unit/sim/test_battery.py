from math import inf

from hetsim.sim.battery import BatteryState


def test_losses_come_on_top_of_what_is_delivered():
    battery = BatteryState(capacity=100.0, charge=80.0, efficiency=0.8)
    assert battery.drain(power=4.0, dt=5.0) == 5.0
    assert battery.charge == 55.0


def test_time_to_empty_counts_delivered_joules():
    battery = BatteryState(capacity=100.0, charge=50.0, efficiency=0.5)
    assert battery.time_to_empty(5.0) == 5.0
    assert battery.time_to_empty(0.0) == inf


def test_a_rounding_rest_is_empty():
    battery = BatteryState(capacity=100.0, charge=9e-11)
    assert battery.empty
    assert battery.time_to_empty(1e-9) == 0.0
    assert not BatteryState(capacity=100.0, charge=2e-10).empty


def test_charge_never_falls_below_zero():
    battery = BatteryState(capacity=1.0, charge=1.0)
    battery.drain(3.0, 1.0)
    assert battery.charge == 0.0
