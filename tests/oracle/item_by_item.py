"""Streams told item by item: SimPy processes, one an item, that queue for devices, lines, a server.

A place serves one item at a time: in the order in which they come, or the streams in turn (each
stream's items in order). An item enters when a place in the window of its stream is free, and a
latency holds up nobody. This is what `Stream` stands for; nothing of hetsim is in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from math import inf
from typing import Any

import simpy


@dataclass(frozen=True)
class Stage:
    """`latency` on the way to `place`, then `seconds` there, of one item."""

    place: str
    seconds: float
    latency: float = 0.0


@dataclass(frozen=True)
class Line:
    """A stream: `items` through `stages`."""

    stages: tuple[Stage, ...]
    items: int
    window: float = inf


class Counting(simpy.Environment):
    """Counts its events."""

    steps = 0

    def step(self) -> None:
        """One more."""
        self.steps += 1
        super().step()


class Place:
    """Where one item is served at a time."""

    def __init__(self, env: simpy.Environment, in_turn: bool) -> None:
        self.env, self.in_turn, self.busy = env, in_turn, False
        self.queues: dict[int, deque[simpy.Event]] = {}

    def ask(self, stream: int) -> simpy.Event:
        """An item of `stream` comes; the event is its turn."""
        turn = self.env.event()
        if self.busy:
            self.queues.setdefault(stream if self.in_turn else 0, deque()).append(turn)
        else:
            self.busy = True
            turn.succeed()
        return turn

    def leave(self) -> None:
        """The item that was served leaves."""
        for stream in list(self.queues):
            queue = self.queues.pop(stream)
            turn = queue.popleft()
            if queue:
                self.queues[stream] = queue  # behind all others
            turn.succeed()
            return
        self.busy = False


def play(streams: list[Line], in_turn: bool = False) -> tuple[list[float], int]:
    """When each stream ends, and how many events that took."""
    env = Counting()
    places: dict[str, Place] = {}
    ends = [0.0] * len(streams)

    def one(index: int, line: Line, room: simpy.Resource) -> Generator[Any, Any, None]:
        with room.request() as entry:
            yield entry
            for stage in line.stages:
                if stage.latency:
                    yield env.timeout(stage.latency)
                place = places.setdefault(stage.place, Place(env, in_turn))
                yield place.ask(index)
                yield env.timeout(stage.seconds)
                place.leave()

    def whole(index: int, line: Line) -> Generator[Any, Any, None]:
        room = simpy.Resource(env, int(min(line.window, line.items)))
        yield env.all_of([env.process(one(index, line, room)) for _ in range(line.items)])
        ends[index] = env.now

    for index, line in enumerate(streams):
        env.process(whole(index, line))
    env.run()
    return ends, env.steps
