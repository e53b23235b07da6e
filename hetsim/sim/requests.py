"""What a script may await: plain data that knows nothing of SimPy.

A script is a coroutine. `await Compute(...)` hands the request to whoever plays the script (the
kernel, a tracer, a test that calls `script.send(answer)`) and returns the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, TypeVar

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped
from hetsim.core.quantities import Bytes, Fraction, Seconds
from hetsim.core.ref import Ref
from hetsim.sim.pipeline import pipeline_time

T = TypeVar("T")
Script = Coroutine["Request[Any]", Any, T]


class Request(Generic[T]):
    """Base of everything awaitable; `T` is the type of the answer."""

    __slots__ = ()

    def __await__(self) -> Generator[Request[T], T, T]:
        return (yield self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute(Request[Fraction]):
    """Do `cost` on `node`; answers with the share that was done.

    Attributes:
        node: name of the node that works.
        cost: the work.
        kind: what to call it in the trace ("train", "mean").
        needs: Refs the node must hold.
        makes: Ref it holds afterwards, if all was done.
        until: instant at which it is cut; what ends then is whole.
    """

    node: str
    cost: Cost
    kind: str = "compute"
    needs: tuple[Ref[Any], ...] = ()
    makes: Ref[Any] | None = None
    until: Seconds = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Request[Fraction]):
    """Move `size` bytes from `source` to `target` along the network's path.

    Answers with the share that was moved.

    Attributes:
        carries: Refs that the target holds afterwards, if all was moved.
        until: instant at which it is cut; what ends then is whole.
    """

    source: str
    target: str
    size: Bytes
    kind: str = "transfer"
    carries: tuple[Ref[Any], ...] = ()
    until: Seconds = inf

    def __post_init__(self) -> None:
        _require(self.size >= 0.0, f"a transfer of {self.size} bytes: give 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream(Request[Fraction]):
    """A pipeline: each of `items` equal parts passes through all stages in order.

    Alone it takes the closed form of `hetsim.sim.pipeline`: with a free window every stage works on
    an item of its own and latencies are paid once; with window 1 one item after the other passes
    all stages and pays all latencies. A node may have several stages, and a pipeline may come back
    (forward and backward on one device).

    When its links or processors are shared it slows down as a whole (a fluid flow), as if each
    place served one item at a time, the streams in turn. Against one event an item: of equal
    streams the last one ends within 1.5 % and each within 3 %, from 50 items on;
    of streams that differ threefold the last one ends within 2 % if four items or more may be
    inside. With a window of 1 or 2, streams that differ also lose time by meeting, near the point
    where a place is just busy all the time: up to a sixth, which a fluid does not see. A script
    that decides item by item loops over awaits; several on one processor then share it by time.

    A stage may use what the stages before it make or bring. The nodes hold it afterwards, if all
    was done; of a stream that was cut, its script knows how much there is.

    Answers with the share of the items that passed all stages: whole items if it was cut.

    Attributes:
        stages: `Compute` and `Transfer` requests holding the totals over all items.
        items: number of parts.
        window: how many parts may be in the pipeline at once.
        until: instant at which it is cut; what ends then is whole.
    """

    stages: tuple[Compute | Transfer, ...]
    items: int
    window: float = inf
    until: Seconds = inf

    def __post_init__(self) -> None:
        _require(bool(self.stages), "a stream without stages: give at least one")
        _require(self.items >= 1, f"a stream of {self.items} items: give 1 or more")
        _require(self.window >= 1.0, f"a stream with a window of {self.window}: give 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Request[None]):
    """Keep `size` bytes of memory of `node` under `name` from now on; 0 bytes let go of it.

    What is held under that name already is replaced. It is held until it is let go, the node loses
    its power (off, or a crash; sleep keeps it) or the run ends, whatever becomes of the script.
    Waits in order for what running jobs will release, and is `Dropped("memory")` if it does not fit
    beside what else is held: nobody knows when that ends. So is a job, for the same reason. It says
    nothing of which values the node has.
    """

    node: str
    name: str
    size: Bytes

    def __post_init__(self) -> None:
        _require(self.size >= 0.0, f"{self.size} bytes to hold: give 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doze(Request[None]):
    """Let `node` draw its sleep power from now on, until it is asked for something.

    It wakes at once when it is to compute, send or receive, at whoever's wish; it then stays awake.
    It is present all along, keeps its memory, and what it draws above base goes on (the tail of a
    radio). One that leaves or empties its battery meanwhile is awake when it comes back.
    """

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep(Request[None]):
    """Let time pass.

    Attributes:
        kind: what to call it in the trace; left out, it is not in it.
    """

    duration: Seconds
    kind: str = ""

    def __post_init__(self) -> None:
        _require(self.duration >= 0.0, f"a sleep of {self.duration} s: time never runs backwards")


@dataclass(frozen=True, slots=True)
class Observe(Request[list[Any]]):
    """Learned values of `refs`, computed by now in no simulated time."""

    refs: tuple[Ref[Any], ...]
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A script and the node whose misfortune ends it."""

    script: Script[Any]
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a child ended.

    Attributes:
        value: what it returned, if it was not dropped.
        dropped: why it was dropped, or None.
        finished: when.
        node: whose script it was.
        last: serial of its last segment in the trace.
    """

    value: Any = None
    dropped: Dropped | None = None
    finished: Seconds = 0.0
    node: str = ""
    last: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather(Request[list[Outcome]]):
    """Play `children` side by side; answers with their outcomes in order.

    Children never outlive it: those unfinished after `deadline` seconds get `Dropped("deadline")`,
    and once `first` of them have delivered the others get `Dropped("surplus")`. What ends at the
    deadline itself is in time.
    """

    children: tuple[Child, ...] = field(repr=False)
    deadline: Seconds = inf
    first: float = inf

    def __post_init__(self) -> None:
        _require(self.deadline >= 0.0, f"a deadline of {self.deadline} s: give 0 or more")
        _require(self.first >= 1.0, f"the first {self.first} children: give 1 or more")


@dataclass(slots=True, eq=False)
class Inbox:
    """Where children that play on by themselves deliver.

    Attributes:
        outcomes: how those ended that nobody has asked for yet, oldest first.
        playing: how many play on.
    """

    outcomes: deque[Outcome] = field(default_factory=deque[Outcome])
    playing: int = 0
    arrived: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch(Request[None]):
    """Let `children` play on beside the script that asks; they deliver into `inbox`.

    They end with that script at the latest: those unfinished then get `Dropped("deadline")`.
    """

    children: tuple[Child, ...] = field(repr=False)
    inbox: Inbox = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive(Request[list[Outcome]]):
    """Wait until `count` outcomes are in the inbox, and take them out, oldest first.

    Answers with fewer once nobody plays on, or after `patience` seconds.
    """

    inbox: Inbox = field(repr=False)
    count: int = 1
    patience: Seconds = inf

    def __post_init__(self) -> None:
        _require(self.count >= 1, f"{self.count} outcomes: ask for 1 or more")
        _require(self.patience >= 0.0, f"a patience of {self.patience} s: give 0 or more")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


__all__ = [
    "Child", "Compute", "Doze", "Gather", "Hold", "Inbox", "Launch", "Observe", "Outcome",
    "Receive", "Request", "Script", "Sleep", "Stream", "Transfer", "pipeline_time",
]  # fmt: skip
