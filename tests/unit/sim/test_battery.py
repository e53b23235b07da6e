from __future__ import annotations

from math import inf

import pytest

from hetsim.sim.battery import BatteryPack, BatteryState, Wells

TABLE = ((0.0, 3.0), (0.2, 3.5), (1.0, 4.3))


def battery(**numbers: float) -> BatteryState:
    charge = numbers.pop("charge", 1.0)
    return BatteryPack(capacity=100.0, **numbers).charged(charge)  # pyright: ignore


def test_losses_come_on_top_of_what_is_delivered() -> None:
    state = battery(efficiency=0.8, charge=0.8)
    assert state.advance({"idle": 15.0, "compute": 5.0}, 5.0) == pytest.approx(5.0)
    assert state.charge == pytest.approx(55.0)


def test_the_source_carries_the_load_first_and_charges_with_the_rest() -> None:
    state = battery(efficiency=0.5, charge_efficiency=0.8, charge=0.5)
    state.supply = 10.0
    assert state.advance({"idle": 8.0}, 4.0) == 0.0
    assert (state.supplied, state.charged) == pytest.approx((8.0, 25.6))
    assert state.advance({"idle": 48.0}, 4.0) == pytest.approx(8.0)
    assert (state.supplied, state.charged) == pytest.approx((48.0, 25.6))
    assert state.charge == pytest.approx(50.0 + 25.6 - 16.0)


def test_what_a_full_battery_cannot_take_is_not_taken() -> None:
    state = battery(charge=0.9)
    state.supply = 10.0
    assert state.horizon({}) == pytest.approx(1.0)
    state.advance({}, 5.0)
    assert (state.charge, state.charged) == (100.0, pytest.approx(10.0))


def test_it_says_when_it_will_be_empty() -> None:
    state = battery(efficiency=0.5, charge=0.5)
    assert state.horizon({"idle": 5.0}) == 5.0
    assert state.horizon({"idle": 0.0}) == inf
    state.supply = 3.0
    assert state.horizon({"idle": 5.0}) == 12.5


def test_an_empty_one_comes_back_at_its_restart_level() -> None:
    state = battery(restart=0.2, charge=0.1)
    state.advance({"idle": 10.0}, 1.0)
    assert state.reach({"idle": 10.0})
    assert state.empty
    state.supply = 4.0
    assert state.horizon({}) == 5.0
    state.advance({}, 2.0)
    assert state.empty
    assert state.horizon({}) == pytest.approx(3.0)
    state.advance({}, 3.0)
    assert state.reach({})
    assert not state.empty
    assert state.charge == 20.0


def test_what_starts_below_its_cutoff_is_empty_at_once_and_keeps_what_it_has() -> None:
    pack = BatteryPack(capacity=377.0, model="voltage", voltage=TABLE, cutoff=3.4, restart=0.1)
    state = pack.charged(0.1)
    held = state.charge
    assert state.horizon({"idle": 1.0}) == 0.0
    assert state.reach({"idle": 1.0})
    assert (state.empty, state.charge) == (True, held)


def test_reaching_full_changes_nothing_for_the_device() -> None:
    state = battery(charge=0.9)
    state.supply = 10.0
    state.advance({}, 1.0)
    assert not state.reach({})
    assert state.horizon({}) == inf, "it cannot be filled twice"
    state.advance({"idle": 20.0}, 1.0)
    state.advance({}, 0.5)
    assert state.horizon({}) == pytest.approx(0.5)


def test_a_pack_knows_the_models_it_has_numbers_for() -> None:
    assert BatteryPack(capacity=1.0).models == ("linear",)
    wells = Wells(available=0.5, rate=1e-3)
    assert BatteryPack(capacity=1.0, wells=wells).models == ("linear", "kibam")
    assert BatteryPack(capacity=1.0, voltage=TABLE, wells=wells).models == (
        "linear", "voltage", "kibam",
    )  # fmt: skip


def test_charge_is_a_share_of_coulombs_where_voltage_is_known() -> None:
    """Half the coulombs: 0.65 J of the first fifth and 3.65 V over 0.3, of 3.77 in all."""
    pack = BatteryPack(capacity=377.0, model="voltage", voltage=TABLE)
    assert pack.charged(0.5).charge == pytest.approx(65.0 + 109.5)
