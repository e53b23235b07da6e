import weakref
from math import nan

import pytest
import simpy

from hetsim.sim.clock import DEADLINE, OBSERVE, SOLVE, Call


def test_calls_of_one_instant_run_by_priority_then_age():
    env, order = simpy.Environment(), list[str]()
    Call(env, lambda: order.append("observe"), priority=OBSERVE)
    Call(env, lambda: order.append("solve"), priority=SOLVE)
    Call(env, lambda: order.append("deadline"), priority=DEADLINE)
    Call(env, lambda: order.append("first"))
    Call(env, lambda: order.append("second"))
    Call(env, lambda: order.append("later"), 1e-9)
    env.run()
    assert order == ["first", "second", "deadline", "solve", "observe", "later"]


def test_a_cancelled_call_does_nothing_but_still_moves_the_clock():
    env, order = simpy.Environment(), list[str]()
    call = Call(env, lambda: order.append("never"), 5.0)
    call.cancel()
    env.run()
    assert order == []
    assert env.now == 5.0


def test_a_cancelled_call_holds_nothing():
    class Thing:
        def __call__(self) -> None:
            raise AssertionError

    env, thing = simpy.Environment(), Thing()
    watch = weakref.ref(thing)
    call = Call(env, thing, 1e9)
    del thing
    assert watch() is not None
    call.cancel()
    assert watch() is None


@pytest.mark.parametrize("delay", [-1e-12, nan])
def test_time_does_not_run_backwards(delay: float):
    with pytest.raises(ValueError, match="time does not run backwards"):
        Call(simpy.Environment(), lambda: None, delay)
