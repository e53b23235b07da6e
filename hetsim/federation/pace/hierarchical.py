"""Hierarchical rounds: gateways average their clients' updates, the server averages the gateways'.

In one server step each gateway that serves somebody of the cohort receives the server's model.
Then, `edge_rounds` times, its clients start from its model, and its model becomes the weighted mean
of what they deliver. It sends the last one to the server, whose model becomes the mean of the
gateways' models, each weighted by the sum over the clients that it has heard of. Receiving,
averaging and sending cost the gateway its own time, memory and joules; what goes to the server is
one model for all its clients.

Source: Liu, Zhang, Song, Letaief, "Client-Edge-Cloud Hierarchical Federated Learning", ICC 2020,
algorithm 1 (HierFAVG; `edge_rounds` is kappa_2, and a client's local steps, kappa_1, belong to the
method). Assumed, where the paper lets everybody take part all the time: one cohort for the whole
step, chosen among those whose gateway is there; at each aggregation a gateway asks those of its
part of the cohort that are there, whether or not they delivered before; a gateway that nobody
delivered to sends nothing; what had been delivered to one that fails is lost. A client that no
gateway serves is asked once by the server, beside the gateways. A selection that first asks for
losses asks clients past their gateways.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Seconds
from hetsim.core.ref import Ref
from hetsim.federation.client import LOSS, Client, Hub
from hetsim.federation.rounds import mean
from hetsim.federation.run import Asked, Demand, Reply, Run, Weigh
from hetsim.learn import ops
from hetsim.sim.requests import Child, Gather, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchical:
    """Averages at gateways, then at the server.

    Attributes:
        edge_rounds: how often a gateway averages in one server step.
        deadline: seconds after which a client that has not delivered to whoever asked is dropped.
    """

    edge_rounds: int = 1
    deadline: Seconds = inf

    def __post_init__(self) -> None:
        if self.edge_rounds < 1:
            raise SpecError(
                f"edge_rounds is {self.edge_rounds}",
                remedy="Let gateways average at least once a server step.",
            )
        if self.deadline <= 0.0:
            raise SpecError("the deadline is 0", remedy='Give time to deliver, or "none".')

    @property
    def demands(self) -> frozenset[Demand]:
        """To take models that gateways have averaged."""
        return frozenset({"gateways"})

    def updates(self, cohort: int, able: int) -> tuple[int, int]:
        """Of a step: the cohort, as often as gateways average."""
        asked = min(cohort, able) * self.edge_rounds
        return asked, asked

    def begin(self, run: Run) -> Tree:
        """The gateways of one run."""
        return Tree(self, run)


@dataclass(slots=True, kw_only=True, eq=False)
class Branch:
    """What one hub does in one server step.

    Attributes:
        hub: a gateway, or the server for clients that none serves.
        model: what its clients start from next.
        clients: its part of the cohort.
        replies: what was delivered to it so far.
        given: models that the server has from it in the end, with their weights.
    """

    hub: Hub
    model: Ref[Any]
    clients: list[Client] = field(default_factory=list[Client])
    replies: list[Reply[Any]] = field(default_factory=list[Reply[Any]])
    given: list[tuple[Ref[Any], float]] = field(default_factory=list[tuple[Ref[Any], float]])


class Tree:
    """The coordinator: the server, its gateways, their clients."""

    side_by_side = True

    def __init__(self, settings: Hierarchical, run: Run) -> None:
        self._settings, self._run = settings, run

    async def cohort(self, script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        """Ask a cohort past the gateways, which average models and nothing else."""
        run = self._run
        clients = await run.select(run.selection.cohort)
        replies = await run.gather(script, clients, *args, deadline=self._settings.deadline)
        run.use(replies)
        return replies

    async def average(
        self, script: Asked, model: Ref[Any], args: tuple[Any, ...], weigh: Weigh
    ) -> Ref[Any]:
        """The mean of the gateways' models and of what the server's own clients delivered."""
        run = self._run
        branches: dict[Hub, Branch] = {}
        for client in await self._select():
            hub = client.gateway or run.server
            branches.setdefault(hub, Branch(hub=hub, model=model)).clients.append(client)
        children: list[Child] = []
        for hub, branch in branches.items():
            play = self._direct if hub is run.server else self._through
            children.append(Child(script=play(branch, script, args, weigh), node=hub.id))
        outcomes = await Gather(children=tuple(children))
        for branch, outcome in zip(branches.values(), outcomes, strict=True):
            if outcome.dropped:
                for reply in branch.replies:
                    reply.participation.waste = outcome.dropped.cause
        given = [each for branch in branches.values() for each in branch.given]
        if not given:
            return model
        merged = ops.mean([ref for ref, _ in given], weights=[weight for _, weight in given])
        await run.server.compute(merged)
        for branch in branches.values():
            if branch.given:
                run.use(branch.replies)
        return merged

    async def _select(self) -> list[Client]:
        """A cohort of clients whose gateway is there; none if none can ever come."""
        run = self._run
        for client in run.clients:
            if client.hopeful and client.gateway and _gone(client.gateway):
                client.exclude("churn", f"{client.gateway.id}, which serves it, never comes back")
        while run.hope():
            chosen = await run.choose(run.selection.cohort, among=_within_reach)
            if chosen:
                return chosen
            await run.wait()
        return []

    async def _direct(
        self, branch: Branch, script: Asked, args: tuple[Any, ...], weigh: Weigh
    ) -> None:
        """The server asks those that no gateway serves."""
        branch.replies = await self._run.gather(
            script, branch.clients, branch.model, *args, deadline=self._settings.deadline
        )
        branch.given = [(reply.value, weigh(reply.client)) for reply in branch.replies]

    async def _through(
        self, branch: Branch, script: Asked, args: tuple[Any, ...], weigh: Weigh
    ) -> None:
        """A gateway receives the model, averages for its clients and sends what came of it."""
        run, hub = self._run, branch.hub
        extras: list[Ref[Any]] = [each for each in args if isinstance(each, Ref)]
        needed = (branch.model, *extras)
        await Transfer(
            source=run.server.id, target=hub.id, kind="download", carries=needed,
            size=sum(ref.nbytes for ref in needed),
        )  # fmt: skip
        for _ in range(self._settings.edge_rounds):
            replies = await run.gather(
                script, [client for client in branch.clients if client.free], branch.model, *args,
                deadline=self._settings.deadline, hub=hub,
            )  # fmt: skip
            if replies:
                branch.replies += replies
                averaged = mean(branch.model, replies, weigh)
                await hub.compute(averaged)
                branch.model = averaged
        if not branch.replies:
            return
        losses = [reply.loss for reply in branch.replies if reply.loss]
        await Transfer(
            source=hub.id, target=run.server.id, kind="upload", carries=(branch.model, *losses),
            size=branch.model.nbytes + LOSS * len(losses),
        )  # fmt: skip
        run.hear(branch.replies)
        heard = dict.fromkeys(reply.client for reply in branch.replies)
        branch.given = [(branch.model, sum(map(weigh, heard)))]


def _within_reach(client: Client) -> bool:
    """Whether who serves it is there."""
    return client.gateway is None or client.gateway.node.present


def _gone(gateway: Hub) -> bool:
    """Whether it has crashed for good: nobody turns a gateway off for a while."""
    return "off" in gateway.node.absences.values()
