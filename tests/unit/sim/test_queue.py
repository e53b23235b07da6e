"""Queues: order, whoever came when, and no one who has left."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from hetsim.sim.queue import Queue

Steps = list[tuple[str, int]]


def drain(queue: Queue[str]) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    while (key := queue.first()) < inf:
        found.append((key, queue.pop()))
    return found


def test_members_come_in_order_of_their_key_then_of_their_number():
    members = {3: "c", 1: "a", 2: "b"}
    queue = Queue(members)
    for serial, key in ((3, 1.0), (1, 2.0), (2, 1.0)):
        queue.push(key, serial)
    assert drain(queue) == [(1.0, "b"), (1.0, "c"), (2.0, "a")]
    assert (queue.least, queue.first()) == (inf, inf)


def test_the_bound_never_exceeds_the_least_key():
    members = {1: "a", 2: "b", 3: "c"}
    queue = Queue(members)
    for serial in members:
        queue.push(float(serial), serial)
    del members[1]
    assert (queue.least, queue.first(), queue.least) == (1.0, 2.0, 2.0)
    assert queue.pop() == "b"
    assert queue.least == 3.0


def test_a_queue_that_starts_anew_knows_its_least_key():
    queue = Queue({1: "a", 2: "b"})
    queue.push(0.5, 1)
    queue.clear([(4.0, 1), (2.0, 2)])
    assert queue.least == 2.0
    assert drain(queue) == [(2.0, "b"), (4.0, "a")]


def test_who_left_does_not_pile_up():
    members = {0: "stays"}
    queue = Queue(members)
    queue.push(0.0, 0)
    for serial in range(1, 1000):
        members[serial] = "leaves"
        queue.push(float(serial), serial)
        del members[serial]
    assert len(queue) < 100


@given(st.lists(st.tuples(st.sampled_from(["push", "push", "leave", "pop", "look"]),
                          st.integers(0, 50)), max_size=200))  # fmt: skip
def test_it_agrees_with_a_sorted_list(steps: Steps):
    members: dict[int, int] = {}
    keys: dict[int, float] = {}
    queue = Queue(members)
    for serial, (step, number) in enumerate(steps):
        if step == "push":
            members[serial], keys[serial] = serial, float(number)
            queue.push(float(number), serial)
        elif step == "leave" and members:
            del members[sorted(members)[number % len(members)]]
        else:
            expected = min(((keys[each], each) for each in members), default=(inf, -1))
            assert queue.least <= expected[0]
            assert queue.first() == queue.least == expected[0]
            if step == "pop" and members:
                assert queue.pop() == expected[1]
                del members[expected[1]]
