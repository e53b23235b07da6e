"""Visits that a server pays to clients: what they receive, compute and send, and by when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Seconds
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.foresight import expected, when_through
from hetsim.federation.run import Reply, Run
from hetsim.methods._zoo import Portion, Zoo, fitting, pieces, size
from hetsim.sim.requests import Compute, Observe, Transfer

if TYPE_CHECKING:
    from hetsim.methods.fedstitch import FedStitch

ID: Bytes = 8
"""Of a block's name, a position or a deadline."""

Works = Callable[[Client, Portion], Sequence[Ref[Any]]]
"""What a client computes in such portions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a cohort is asked for.

    Attributes:
        network: what it is about: the network so far; None before the first block.
        stitches: linear maps in the network, which a client must have.
        kind: what computing is called in the trace.
        works: what a client computes in such portions, each the continuation of the
            one before it; None if it only receives.
        needs: blocks that it works with.
        brings: what it is brought beside stitches that it lacks.
        told: bytes of names and deadline.
        sent: bytes that it sends; None for the computed value itself.
        hears: what it thinks of the value, to be sent; nothing is observed without.
        pool: models that are sent whether it has them or not.
    """

    network: Ref[Any] | None
    stitches: tuple[Ref[Any], ...]
    kind: str = ""
    works: Works | None = None
    needs: tuple[Ref[Any], ...] = ()
    brings: tuple[Ref[Any], ...] = ()
    told: Bytes = 2 * ID
    sent: Bytes | None = None
    hears: Callable[[Any], Any] | None = None
    pool: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A visit to one client, act by act.

    Attributes:
        value: what it computes, if anything.
        down, work, up: what it receives, computes and sends.
    """

    value: Ref[Any] | None
    down: Sequence[Transfer]
    work: Sequence[Compute]
    up: Sequence[Transfer]

    @property
    def acts(self) -> list[Compute | Transfer]:
        """All, in order."""
        return [*self.down, *self.work, *self.up]


class Visits:
    """How visits are paid in one run, and what clients keep from one to the next.

    Args:
        settings: of the method.
        run: the run.
        zoo: the models, which are sent to every client once.
    """

    def __init__(self, settings: FedStitch, run: Run, zoo: Zoo) -> None:
        self._s, self._run, self._zoo = settings, run, zoo
        self._portions = settings.looking.portions
        self._known: dict[Client, set[str]] = {client: set() for client in run.clients}
        self._asked: dict[Client, tuple[Errand, Seconds]] = {}

    async def pay(self, visit: Visit) -> list[Reply[Any]]:
        """Ask a cohort, again if nobody delivers in time; what is delivered."""
        run = self._run
        if visit.works:
            run.require(self._needs(visit))
        for _ in range(self._s.tries):
            replies = await run.cohort(self._client, visit, within=partial(self._within, visit))
            if replies or not run.hope():
                return replies
            what = f"nobody is through with the visit ({visit.kind or 'classifier'}) in time"
            run.kernel.note(run.server.id, "stitch", what)
        return []

    def _within(self, visit: Visit, clients: Sequence[Client]) -> Seconds:
        """The deadline of those who are asked together; notes what for, and how long they send."""
        run, s = self._run, self._s
        errands = {client: self._errand(client, visit) for client in clients}
        sending = expected(run, {client: each.up for client, each in errands.items()})
        self._asked |= {client: (each, sending[client]) for client, each in errands.items()}
        if s.deadline is not None:
            return s.deadline
        if s.deadline_factor is None:
            return inf
        ends = expected(run, {client: each.acts for client, each in errands.items()})
        return s.deadline_factor * when_through(ends, s.deadline_share)

    def _needs(self, visit: Visit) -> Callable[[Client], Cost]:
        """What a visit takes of a client, by its samples and its memory."""
        known: dict[tuple[int, Bytes], Cost] = {}

        def need(client: Client) -> Cost:
            like = client.samples, client.node.memory.capacity
            if like not in known:
                known[like] = self._works(client, visit)[-1].cost
            return known[like]

        return need

    def _works(self, client: Client, visit: Visit) -> Sequence[Ref[Any]]:
        """What a client computes, with as many samples at a time as its memory holds."""
        assert visit.works
        works = (visit.works(client, portion) for portion in self._portions)
        return fitting(client, works, lambda works: works[-1].cost)

    def _errand(self, client: Client, visit: Visit) -> Errand:
        """A visit to this client."""
        if visit.works is None:
            return Errand(value=None, down=list(self._handed_out(client, visit)), work=(), up=())
        network = () if visit.network is None else (visit.network,)
        works = self._works(client, visit)
        *first, last = (
            client.work(cost, kind=visit.kind, needs=(*network, *visit.needs))
            for cost in pieces(works)
        )
        return Errand(
            value=works[-1],
            down=[*self._files(client, visit), self._message(client, visit, whole=_whole(visit))],
            work=(*first, replace(last, makes=works[-1])),
            up=(client.uplink(works[-1] if visit.sent is None else visit.sent),),
        )

    def _files(self, client: Client, visit: Visit) -> Iterator[Transfer]:
        """The models of the pool, unless it has them."""
        for number, weights in enumerate(self._zoo.files):
            if number in visit.pool or weights[0].key not in self._known[client]:
                yield replace(client.downlink(size(weights)), carries=weights)
        if _whole(visit) and visit.network is not None:
            network = client.downlink(visit.network)
            yield replace(network, carries=(*network.carries, *visit.stitches))

    def _message(self, client: Client, visit: Visit, *, whole: bool) -> Transfer:
        """What it is told and brought, with stitches that it has not, unless it got the network."""
        known = self._known[client]
        stitches = [each for each in visit.stitches if not whole and each.key not in known]
        learned = [each for each in stitches if each.op != "padded"]  # others it makes itself
        told = visit.told + size([*learned, *visit.brings])
        return replace(client.downlink(told), carries=(*stitches, *visit.brings))

    def _handed_out(self, client: Client, visit: Visit) -> Iterator[Transfer]:
        """What it needs to use the network: who has no pool gets the network itself."""
        whole = any(weights[0].key not in self._known[client] for weights in self._zoo.files)
        if whole:
            assert visit.network is not None
            yield client.downlink(visit.network)
        yield self._message(client, visit, whole=whole)

    async def _client(self, device: Client, visit: Visit) -> Any:
        """Receive, compute candidate after candidate, send."""
        errand, sending = self._asked.pop(device)
        device.expect(sending)
        device.hasten()
        for act in errand.down:
            await act
            self._known[device].update(ref.key for ref in act.carries)
        if visit.network is not None:
            self._run.has(device, visit.network)
        device.plan(sum((act.cost for act in errand.work), Cost()))
        for act in errand.work:
            await act
        said: Any = errand.value
        if visit.hears and errand.value:
            [found] = await Observe((errand.value,), device.id)
            said = visit.hears(found)
        for act in errand.up:
            await act
        return said


def _whole(visit: Visit) -> bool:
    """Whether the network is sent whole, with the pool that is sent anew."""
    return bool(visit.pool) and visit.network is not None
