"""Two thousand asynchronous server steps: memory stays flat and nothing recurses."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.store import MemoryStore
from hetsim.testing import tiny

STEPS = 2000


class Mixing:
    """Whoever is done is mixed into the server's model at once, and starts again from it."""

    def __init__(self, run: Run, lab: Lab) -> None:
        self.run, self.lab = run, lab
        self.model: Ref[Any] = run.initial_model()
        self.models = weakref.WeakSet[Ref[Any]]()
        self.most = self.held = self.depth = 0

    async def server(self) -> None:
        await self.run.gather(self.client, self.run.clients)

    async def client(self, device: Client) -> None:
        while self.run.going:
            start = self.model
            await device.download(start)
            update = await device.train(start, steps=1, batch=8, lr=0.05)
            await device.upload(update)
            if self.run.going:
                self.model = ops.mean([self.model, update], weights=[0.6, 0.4])
                self.models.add(self.model)
                await self.run.report(self.model)
                self._look()

    def _look(self) -> None:
        self.most = max(self.most, len(self.models))
        self.held = max(self.held, len(self.lab._held))
        frame, depth = sys._getframe(), 0
        while frame := frame.f_back:
            depth += 1
        self.depth = max(self.depth, depth)


def test_two_thousand_asynchronous_steps() -> None:
    scenario = tiny(f"stop.rounds={STEPS}", "report.evaluate_every=10000", "task.model=logistic")
    lab = Lab(Inline(), MemoryStore(limit=0), scenario.resident)
    run = scenario.world(lab, causality=False)
    method = Mixing(run, lab)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)  # a chain that recursed would need thousands
    try:
        run.kernel.run(method.server(), run.server.id)
        lab.drain()
    finally:
        sys.setrecursionlimit(limit)
    assert len(run.rows) == STEPS
    assert lab.executed["mean"] == STEPS
    assert lab.executed["train"] == STEPS, "what comes after the last step is never computed"
    assert method.most < 20
    assert method.held < 60
    assert method.depth < 100
