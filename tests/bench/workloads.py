"""The three workloads that are measured, and a run of one with all that hetsim does.

`cnn`: 100 clients, 10 a round, a small convolutional network of 215,370 parameters. `lr`: 1,000
clients, 100 a round, logistic regression. Both hold 100 made-up samples of 1 x 28 x 28 a client and
train one epoch of SGD in batches of 20. `noop` is `lr` without learning: time and joules alone.

The fleet is mixed: boards, phones on batteries, Jetsons; Wi-Fi, LTE and Ethernet, shared; clocks
that a governor sets, bodies that grow warm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from hetsim.core.ref import Ref
from hetsim.core.trace import Trace
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.numerics import State
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve

WARM = 2
"""Rounds before the clock starts: caches fill, kernels are chosen, processes begin."""

_TOPOLOGY = """\
name: {name}
fleet:
  - {{profile: raspberry_pi_4b, count: {pi}, link: {{to: ap, rate: "50 Mbit/s"}}}}
  - profile: raspberry_pi_zero_2_w
    count: {zero}
    link: {{to: ap, rate: "20 Mbit/s"}}
    battery: {{capacity: "18 Wh"}}
  - profile: pixel_6
    count: {far}
    link: {{to: mast, up: "12 Mbit/s", down: "40 Mbit/s"}}
    battery: {{charge: "80 %"}}
  - profile: pixel_4a
    count: {near}
    link: {{to: ap, rate: "80 Mbit/s"}}
    battery: {{charge: "80 %"}}
  - {{profile: jetson_tx2, count: {jetson}, link: {{to: switch, rate: "900 Mbit/s"}}}}
network:
  nodes:
    ap: {{technology: wifi, power: "6 W"}}
    mast: {{technology: lte}}
    switch: {{technology: ethernet, power: "8 W"}}
  links:
    - {{between: [ap, switch], bandwidth: "300 Mbit/s", latency: "1 ms"}}
    - {{between: [mast, switch], bandwidth: "1 Gbit/s", latency: "12 ms"}}
server: {{profile: core_ultra_265k, at: switch}}
task:
  data: {{name: synthetic, train: {train}, test: 100, source: 1, shape: {shape}, dtype: {dtype}}}
  model: {model}
  partition: iid
method: {{name: fedavg, epochs: {epochs}, batch: {batch}, lr: {lr}}}
selection: {{name: random, cohort: {cohort}}}
governor: schedutil
stop: {{rounds: {rounds}}}
report: {{evaluate_every: 1000000}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is trained, by how many, for how long."""

    name: str
    model: str
    clients: int
    cohort: int
    rounds: int = 20
    samples: int = 100
    epochs: int = 1
    batch: int = 20
    lr: float = 0.05
    shape: tuple[int, ...] = (1, 28, 28)
    dtype: str = "float32"

    @property
    def small(self) -> Workload:
        """The same for a test: a tenth of the clients, three rounds of six, two steps each."""
        return replace(self, clients=self.clients // 10, cohort=6, rounds=3, samples=40)

    def write(self, folder: Path) -> Path:
        """Its topology as a file."""
        share, rest = divmod(self.clients, 10)
        counts = {"pi": 3 * share + rest, "zero": share, "far": 2 * share, "near": share}
        text = _TOPOLOGY.format(
            name=self.name, model=self.model, cohort=self.cohort, rounds=self.rounds,
            train=self.clients * self.samples, epochs=self.epochs, batch=self.batch, lr=self.lr,
            shape=list(self.shape), dtype=self.dtype, jetson=3 * share, **counts,
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def scenario(self, folder: Path, *overrides: str) -> Scenario:
        """It, checked and ready."""
        return resolve(load_topology(self.write(folder), overrides=overrides))


CNN = Workload(name="cnn", model="small_cnn", clients=100, cohort=10)
LR = Workload(name="lr", model="logistic", clients=1000, cohort=100, dtype="uint8")


class Stopwatch:
    """Time of the rounds after the first `WARM`: on the wall, and of this process's processor.

    Attributes:
        wall, cpu: seconds a round.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds - WARM
        self.wall = self.cpu = 0.0

    def start(self) -> None:
        """The last warm round is over."""
        self._begun = perf_counter(), process_time()

    def stop(self) -> None:
        """The last round is over."""
        wall, cpu = self._begun
        self.wall = (perf_counter() - wall) / self._rounds
        self.cpu = (process_time() - cpu) / self._rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        state: the final model; empty of a run that learns nothing.
        watch: its steady rounds.
    """

    state: State
    watch: Stopwatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated(Outcome):
    """What hetsim's run came to.

    Attributes:
        lab: closed; its counts remain.
        trace: spans, counters and rounds.
        dropped: trainings that nobody waited for.
    """

    lab: Lab | CostOnlyLab
    trace: Trace
    dropped: int


def simulate(
    scenario: Scenario,
    store: Path | None,
    *,
    executor: str = "inline",
    workers: int | None = None,
    each: Callable[[], None] = lambda: None,
) -> Simulated:
    """hetsim, without the evaluation that follows the last round; `each` is called after each."""
    lab = scenario.lab(executor=executor, workers=workers, store=store)
    watch = Stopwatch(scenario.spec.stop.rounds)

    try:
        run = scenario.world(lab)
        report = run.report

        async def watched(model: Ref[Any], **told: Any) -> None:
            await report(model, **told)
            each()
            if run.round == WARM:
                lab.drain()
                watch.start()

        run.report = watched
        run.kernel.run(scenario.method().server(run), "server")
        lab.drain()
        watch.stop()
        state: Any = {}
        if not scenario.spec.cost_only:
            assert run.model is not None
            [state] = lab.settle([run.model])
        dropped = sum(client.dropped["deadline"] for client in run.clients)
        return Simulated(state=state, watch=watch, lab=lab, trace=run.kernel.trace, dropped=dropped)
    finally:
        lab.close()
