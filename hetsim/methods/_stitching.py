"""One run of FedStitch: how the network grows, round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.federation.client import Client
from hetsim.federation.run import Reply, Run
from hetsim.learn import ops
from hetsim.methods._ballot import Ballot, Election, Vote, best, mean
from hetsim.methods._pool import Findings, Pool
from hetsim.methods._visits import ID, Visit, Visits
from hetsim.methods._zoo import LEAST, Portion, Zoo
from hetsim.sim.requests import Observe

if TYPE_CHECKING:
    from hetsim.methods.fedstitch import FedStitch

_PROPOSAL: Bytes = 12
"""Of a block's name with its score."""
_NUMBER: Bytes = 4
"""Of a float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a client says of the candidates.

    Attributes:
        vote: its best.
        alike: CKA of what each two of them give.
        prefix: CKA of the network so far and labels; None without one, or if labels tell nothing.
    """

    vote: Vote
    alike: Mapping[tuple[int, int], float]
    prefix: float | None


@dataclass(slots=True)
class Growth:
    """A network under construction.

    Attributes:
        chosen: its blocks, by number.
        stitches: the linear maps before all but the first.
        network: the network; None before the first block.
        winner: the block that comes next, once it is voted for.
    """

    chosen: list[int] = field(default_factory=list[int])
    stitches: list[Ref[Any]] = field(default_factory=list[Ref[Any]])
    network: Ref[Any] | None = None
    winner: int | None = None


class Stitching:
    """The server's side of a run, and what it knows of its clients.

    Args:
        settings: of the method.
        run: the run.
    """

    def __init__(self, settings: FedStitch, run: Run) -> None:
        self._s, self._run, self._looking = settings, run, settings.looking
        task = run.architecture
        models = [run.source_model(each) for each in settings.models(task.shape, task.classes)]
        self._zoo = Zoo(settings.zoo, models, task.shape, task.classes, settings.positions)
        self._pool = Pool(
            len(models), settings.positions, choice=settings.pool,
            prune=settings.prune and not settings.winners, prices=self._zoo.prices,
            phi=settings.phi, patience=settings.patience, same=settings.same,
        )  # fmt: skip
        self._ballot = Ballot(
            weights=settings.weights, epsilon=settings.epsilon, decay=settings.decay,
            eta=settings.eta, tau=settings.tau, seed=run.seed,
        )  # fmt: skip
        self._grown = Growth()
        self._whole = False
        self._last: Election | None = None
        self._visits = Visits(settings, run, self._zoo)

    async def play(self) -> None:
        """Fill one position after the other, each in a round if somebody delivers."""
        run = self._run
        for weights in self._zoo.files:
            run.has(run.server, *weights)
        model = run.initial_model()
        self._enrol(model)
        while run.going and not self._whole:
            model = await self._grow() or model
            await run.report(model)

    def _enrol(self, model: Ref[Any]) -> None:
        """Leave out who cannot hold the least of it."""
        for client in self._run.clients:
            if client.shard is not None and client.samples < LEAST:
                client.excluded = f"holds {client.samples} samples, and scoring takes {LEAST}"
        self._run.require(lambda client: self._s.work(client, model) or Cost())

    # --- a round --------------------------------------------------------------------------------

    async def _grow(self) -> Ref[Any] | None:
        """The next whole network; None if nobody delivers what it takes."""
        grown = self._grown
        if grown.winner is None:
            grown.winner = await self._vote()
        if grown.winner is not None and grown.winner not in grown.chosen:
            await self._append(grown.winner)
        if grown.winner is None or grown.winner not in grown.chosen:
            return None
        return await self._classify()

    async def _vote(self) -> int | None:
        """Let clients score the candidates; the winner, None if nobody does."""
        s, run, zoo = self._s, self._run, self._zoo
        position, candidates = len(self._grown.chosen), self._candidates()
        blocks = [zoo.blocks[block] for block in candidates]
        network = self._grown.network

        def works(client: Client, portion: Portion) -> Sequence[Ref[Any]]:
            draw = self._draw(client)
            return [
                self._looking.scores(network, blocks[: 1 + last], client.data, portion, draw)
                for last in range(len(blocks))
            ]

        sent = self._said(candidates)
        replies = await self._visits.pay(
            replace(
                self._visit, kind="score", works=works,
                needs=tuple(block.weights for block in blocks),
                told=ID * (position + 1 + len(candidates) + 1), sent=sent,
                hears=partial(self._opinion, candidates) if s.observes else None,
                pool=self._resent(candidates),
            )
        )  # fmt: skip
        if not replies:
            return None
        entries = len(replies) * sent / _NUMBER
        await run.server.compute(
            Cost(flops=2 * entries, traffic=_NUMBER * entries, steps=1, operators=1), kind="vote"
        )
        winner = await self._elected(candidates, replies)
        names = ", ".join(zoo.name(block) for block in candidates)
        run.kernel.note(
            run.server.id, "stitch",
            f"position {position + 1} of {s.positions}: {zoo.name(winner)}, of {names}",
        )  # fmt: skip
        return winner

    async def _elected(
        self, candidates: Sequence[int], replies: Sequence[Reply[Opinion | None]]
    ) -> int:
        """Count what clients say; the pool and the ballot learn from it."""
        s, position = self._s, len(self._grown.chosen)
        if s.winners:
            winner = next(
                block for block in candidates if self._zoo.name(block) == s.winners[position]
            )
            election = None
            values = dict.fromkeys(candidates, 0.0)
            proposed, alike = frozenset[int](), dict[tuple[int, int], float]()
        else:
            said = {reply.client.id: reply.value for reply in replies if reply.value}
            if self._judged_by_peers and self._last:
                worths = [each.prefix for each in said.values() if each.prefix is not None]
                if worths:
                    self._ballot.reward(self._last, fmean(worths))
            election = self._ballot.elect(
                candidates, {name: each.vote for name, each in said.items()},
                {reply.client.id: reply.client.samples for reply in replies},
            )  # fmt: skip
            winner, values = election.winner, election.values
            proposed = frozenset[int]().union(*(each.vote for each in said.values()))
            alike = {
                pair: mean(
                    (election.weights[name], each.alike[pair]) for name, each in said.items()
                )
                for pair in combinations(candidates, 2)
            }
        self._pool.learn(Findings(values=values, proposed=proposed, alike=alike, winner=winner))
        self._last = election
        if s.weights == "rl" and s.reward == "proxy":
            await self._judge(winner, election)
        return winner

    async def _judge(self, winner: int, election: Election | None) -> None:
        """Let the server score the winner on samples of its own."""
        run, block = self._run, self._zoo.blocks[winner]
        shard = run.source_samples(self._s.proxy)
        seed = entropy(run.seed, "learn/probe", run.server.id)
        value = self._looking.scores(
            self._grown.network, [block], shard, self._looking.portions[0], seed
        )
        await run.server.compute(value, kind="score", needs=(block.weights,))
        if election:
            [found] = await Observe((value,), run.server.id)
            self._ballot.reward(election, found["label"][0])

    async def _append(self, winner: int) -> None:
        """Put the winner on the network, if somebody tells how it is to be stitched."""
        grown, zoo, s = self._grown, self._zoo, self._s
        block, network = zoo.blocks[winner], grown.network
        if network is not None and s.stitch == "pad":
            grown.stitches.append(ops.padded(network, block))
            await self._run.server.compute(grown.stitches[-1], kind="solve")
        elif network is not None:
            fitted = network  # a name that cannot be None

            def works(client: Client, portion: Portion) -> Sequence[Ref[Any]]:
                seed = self._draw(client)
                return [self._looking.sums(fitted, block, client.data, portion, seed)]

            solved = await self._solve(replace(self._visit, kind="sum", works=works), s.penalty)
            if solved is None:
                return
            grown.stitches.append(solved)
        grown.chosen.append(winner)
        grown.network = ops.stitched([zoo.blocks[each] for each in grown.chosen], grown.stitches)
        self._run.has(self._run.server, grown.network)

    async def _classify(self) -> Ref[Any] | None:
        """Put a classifier on the network; None if nobody tells which."""
        run, grown, zoo = self._run, self._grown, self._zoo
        network = grown.network
        assert network is not None

        def works(client: Client, portion: Portion) -> Sequence[Ref[Any]]:
            return [ops.head_grams(network, client.data, batch=portion.at_once)]

        head = await self._solve(replace(self._visit, kind="sum", works=works), None)
        if head is None:
            return None
        grown.winner = None
        self._whole = len(grown.chosen) == self._s.positions
        if self._whole or run.round + 1 == run.stop.rounds:
            await self._visits.pay(replace(self._visit, brings=(head,), told=0.0))
        blocks = [zoo.blocks[each] for each in grown.chosen]
        model = ops.stitched(blocks, grown.stitches, head)
        run.has(run.server, model)
        return model

    async def _solve(self, visit: Visit, penalty: float | None) -> Ref[Any] | None:
        """The linear map from the sums of those who deliver; None if nobody does.

        Without a penalty the sums tell the best one by cross-validation.
        """
        replies = await self._visits.pay(visit)
        if not replies:
            return None
        server = self._run.server
        total = ops.summed([reply.value for reply in replies])
        await server.compute(total, kind="sum")
        solved = ops.ridge(total, penalty=penalty)
        await server.compute(solved, kind="solve")
        return solved

    @property
    def _visit(self) -> Visit:
        """One about the network so far."""
        return Visit(network=self._grown.network, stitches=tuple(self._grown.stitches))

    # --- candidates -----------------------------------------------------------------------------

    def _candidates(self) -> tuple[int, ...]:
        """The blocks to be scored for the next position."""
        position = len(self._grown.chosen)
        found = self._pool.candidates(position)
        if not self._s.scored:
            return found
        return tuple(block for block in found if self._zoo.name(block) in self._s.scored[position])

    def _said(self, candidates: Sequence[int]) -> Bytes:
        """Bytes of what a client says of the candidates for the next position."""
        position, count = len(self._grown.chosen), len(candidates)
        said = _PROPOSAL * min(self._s.best, count)
        if self._s.prune and position + 1 < self._s.positions:  # how alike each two of them are
            said += _NUMBER * count * (count - 1) / 2
        if self._judged_by_peers and position:
            said += _NUMBER
        return said

    def _opinion(self, candidates: Sequence[int], found: ops.Scores) -> Opinion:
        """What a client says who has found these scores; one whose labels tell nothing, little."""
        scores = dict(zip(candidates, found["score"], strict=True))
        pairs = combinations(range(len(candidates)), 2)
        return Opinion(
            vote=best(scores, self._s.best) if any(found["score"]) else {},
            alike={(candidates[a], candidates[b]): found["alike"][a][b] for a, b in pairs},
            prefix=None if found["reason"] else found["prefix"],
        )

    @property
    def _judged_by_peers(self) -> bool:
        return self._s.weights == "rl" and self._s.reward == "peer"

    def _resent(self, candidates: Sequence[int]) -> tuple[int, ...]:
        """The models of the pool, if all of it is sent anew."""
        if not self._s.resend_pool:
            return ()
        return tuple(sorted({block // self._s.positions for block in candidates}))

    def _draw(self, client: Client) -> int:
        """Seed of the draw of a client's probe, the same all along."""
        return entropy(self._run.seed, "learn/probe", client.id)
