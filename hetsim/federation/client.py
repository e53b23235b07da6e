"""A client as a script sees it: a device, its shard of the data, and the verbs it pays for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hetsim.core.cost import Cost
from hetsim.core.errors import CAUSES, HetsimError
from hetsim.core.quantities import Joules, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.learn import ops
from hetsim.sim.node import Node
from hetsim.sim.requests import Compute, Sleep, Transfer

if TYPE_CHECKING:
    from hetsim.federation.run import Run


@dataclass(slots=True, eq=False)
class Client:
    """One device of the federation.

    Attributes:
        node: its body in the time plane.
        index: position in the fleet.
        shard: its data, or None if it holds none.
        samples: size of the shard.
        excluded: why it cannot take part, or "".
        rounds_done: updates it delivered.
        dropped: how often it was dropped, by cause.
        participated: joules it drew from its selections to its last needed acts.
        state: what it keeps from round to round, by name; a script reads and assigns it. Whether
            one that is dropped keeps what it has assigned is for the method to say
            (`Method.on_drop`). Values are in memory for as long as they are kept.
    """

    node: Node
    index: int
    shard: Ref[Any] | None
    samples: int
    run: Run
    excluded: str = ""
    rounds_done: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    participated: Joules = 0.0
    state: dict[str, Ref[Any]] = field(default_factory=dict[str, Ref[Any]])

    @property
    def id(self) -> str:
        """Its name, that of its node."""
        return self.node.name

    @property
    def present(self) -> bool:
        """Whether it is there and may take part."""
        return not self.excluded and self.node.present

    @property
    def hopeful(self) -> bool:
        """Whether it is present or may come back."""
        return not self.excluded and not self.node.lost

    def exclude(self, cause: str, reason: str) -> None:
        """Take it out of the federation for good, and say why."""
        self.excluded = reason
        self.dropped[cause] += 1
        self.run.kernel.note(self.id, cause, reason)

    async def download(self, value: Ref[Any]) -> None:
        """Receive `value` from the server."""
        await Transfer(
            source=self.run.server.id, target=self.id, size=value.nbytes,
            kind="download", carries=(value,),
        )  # fmt: skip

    async def upload(self, value: Ref[Any]) -> None:
        """Send `value` to the server."""
        await Transfer(
            source=self.id, target=self.run.server.id, size=value.nbytes,
            kind="upload", carries=(value,),
        )  # fmt: skip

    async def train(self, model: Ref[Any], **settings: Any) -> Ref[Any]:
        """Train `model` on the shard; `settings` as `ops.train`. Returns the lazy update."""
        seed = entropy(self.run.seed, "learn/batches", self.id, self.run.round)
        update = ops.train(model, self._shard(), seed=seed, **settings)
        await self.compute(update, kind="train", needs=(model,))
        return update

    def training_cost(self, model: Ref[Any], **settings: Any) -> Cost:
        """Work of `train` with these settings."""
        return ops.train(model, self._shard(), seed=0, **settings).cost

    def _shard(self) -> Ref[Any]:
        if self.shard is None:
            raise HetsimError(
                f"{self.id} holds no data to train on\n"
                "    Let the method call `run.require(...)` before its first round, which excludes "
                "such clients."
            )
        return self.shard

    async def compute(
        self,
        work: Ref[Any] | Cost,
        *,
        kind: str = "compute",
        needs: tuple[Ref[Any], ...] | None = None,
    ) -> None:
        """Do work here; a Ref is held afterwards."""
        await compute(self.id, work, kind, needs)

    async def sleep(self, duration: Seconds) -> None:
        """Do nothing."""
        await Sleep(duration=duration)


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """The aggregating server."""

    node: Node

    @property
    def id(self) -> str:
        """Its name, that of its node."""
        return self.node.name

    async def compute(
        self,
        work: Ref[Any] | Cost,
        *,
        kind: str = "aggregate",
        needs: tuple[Ref[Any], ...] | None = None,
    ) -> None:
        """Do work here; a Ref is held afterwards."""
        await compute(self.id, work, kind, needs)


async def compute(
    node: str, work: Ref[Any] | Cost, kind: str, needs: tuple[Ref[Any], ...] | None
) -> None:
    """Pay for `work` on `node`; it must hold `needs`, by default all inputs of a Ref."""
    if isinstance(work, Cost):
        await Compute(node=node, cost=work, kind=kind, needs=needs or ())
    else:
        needs = work.inputs if needs is None else needs
        await Compute(node=node, cost=work.cost, kind=kind, needs=needs, makes=work)
