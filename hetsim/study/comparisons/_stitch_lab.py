"""Boards without the memory to train a network: what they have, what it needs, who takes part.

The article's network is not known, and one that small boards cannot train is one that two cores
cannot train either. So the room of a board is scaled as the network is. With M the peak memory of
training, its budget for jobs is

    budget = share x free x M(plain_cnn, batches of 32) / M(ResNet-18, batches of 64)

and a board can train plain_cnn in its budget exactly if it could train ResNet-18 in that share of
the memory that its profile leaves free (`free`). ResNet-18 has the stem for small images and ten
classes, both are trained by SGD with momentum. The share is assumed: all of it (`loose`), or half,
where the other half belongs to what the board is there for (`tight`). Memory-blind runs take no
budget into account (`blind`).

Networks are priced for five classes of pictures of 3 x 32 x 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hetsim.core.quantities import Bytes, Fraction
from hetsim.federation import price
from hetsim.spec.profile import find_profile, load_profile
from hetsim.spec.schema import load_topology

TOPOLOGY = "stitch_lab"
SHAPE, CLASSES = (3, 32, 32), 5
TRAINED, BATCH = "plain_cnn", 32
"""What baselines train."""
ZOO = ("resnet8", TRAINED, "separable_cnn", "wide_cnn")
"""What networks are stitched of."""
REFERENCE, REFERENCE_BATCH, REFERENCE_CLASSES = "resnet18", 64, 10
SHARES: Mapping[str, Fraction] = {"tight": 0.5, "loose": 1.0}
BLIND = "blind"
SGD = f"epochs: 1, batch: {BATCH}, lr: 0.05, momentum: 0.9"
POSITIONS = 4
"""Of a stitched network."""
_BOUNDLESS = "1 TiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A group of equal boards.

    Attributes:
        place: among the groups of the topology.
        profile: its name.
        count: how many.
        free: bytes that its profile leaves for jobs.
    """

    place: int
    profile: str
    count: int
    free: Bytes

    def budget(self, memory: str) -> Bytes:
        """Bytes for jobs, see above.

        Args:
            memory: tight or loose.
        """
        return SHARES[memory] * self.free * need() / reference_need()


@cache
def boards() -> tuple[Board, ...]:
    """All groups of the topology."""
    return tuple(
        Board(
            place=place, profile=group.profile, count=group.count,
            free=load_profile(find_profile(group.profile, None)).memory,
        )
        for place, group in enumerate(load_topology(TOPOLOGY).fleet)
    )  # fmt: skip


@cache
def need(model: str = TRAINED, batch: int = BATCH, classes: int = CLASSES, **options: Any) -> Bytes:
    """Peak memory of training a model by SGD with momentum."""
    return price.training(
        model, SHAPE, classes, samples=batch, batch=batch, steps=1, momentum=True, options=options
    ).memory


def reference_need() -> Bytes:
    """Peak memory of what the boards could not train."""
    return need(REFERENCE, REFERENCE_BATCH, REFERENCE_CLASSES)


def room(memory: str, samples: int) -> tuple[str, ...]:
    """Overrides that give every board its budget and so many samples.

    Args:
        memory: tight, loose or blind.
        samples: at every client.
    """
    return tuple(
        text
        for board in boards()
        for text in (
            f"fleet[{board.place}].memory={_budget(board, memory)}",
            f"fleet[{board.place}].data.samples={samples}",
        )
    )


def _budget(board: Board, memory: str) -> str:
    return _BOUNDLESS if memory == BLIND else f"{board.budget(memory):.0f} B"


@cache
def narrow() -> Fraction:
    """The largest width, in sixteenths, at which every board can train the network when `tight`."""
    least = min(board.budget("tight") for board in boards())
    return max(width for k in range(1, 17) if need(width=(width := k / 16)) <= least)


# --- runs in which nothing is learned -------------------------------------------------------------


def made_up(model: str, classes: int, samples: int) -> str:
    """The task of a model on so many samples in the shape of CIFAR's."""
    return (
        f"task={{data: {{name: synthetic, train: {samples}, test: 10, source: 10, "
        f"classes: {classes}, shape: [3, 32, 32]}}, model: {model}, partition: iid}}"
    )


def fixed_outcome(zoo: Sequence[str], winner: str, options: str = "") -> str:
    """FedStitch, as in a topology, of which it is known that all blocks will be of one model.

    All candidates of a position are scored.
    """
    places = range(1, POSITIONS + 1)
    winners = ", ".join(f"{winner}/{place}" for place in places)
    scored = ", ".join(f"[{', '.join(f'{name}/{place}' for name in zoo)}]" for place in places)
    return (
        f"{{name: fedstitch, zoo: [{', '.join(zoo)}], winners: [{winners}], scored: [{scored}]"
        f"{options and f', {options}'}}}"
    )


# --- tables ---------------------------------------------------------------------------------------


def budgets() -> Iterator[dict[str, Any]]:
    """A row for each kind of board and amount of room: who could train what."""
    for memory, share in SHARES.items():
        for board in boards():
            yield {
                "memory": memory, "share": share, "profile": board.profile, "boards": board.count,
                "free_b": board.free, "reference_b": reference_need(),
                "trains_reference": reference_need() <= share * board.free,
                "budget_b": board.budget(memory), "need_b": need(),
                "trains": need() <= board.budget(memory),
            }  # fmt: skip


def networks() -> Iterator[dict[str, Any]]:
    """A row for each network of the zoo, and for the one that is narrow enough for all boards."""
    usual = multiplications(TRAINED)
    for model, options in (*((name, {}) for name in ZOO), (TRAINED, {"width": narrow()})):
        macs = multiplications(model, **options)
        yield {
            "model": model, "width": options.get("width"), "macs": macs, "relative": macs / usual,
            "train_b": need(model, **options),
            "forward_b": price.inference(
                model, SHAPE, CLASSES, samples=BATCH, batch=BATCH, options=options
            ).memory,
        }  # fmt: skip


def multiplications(model: str, **options: Any) -> float:
    """Multiply-adds of a forward pass over one sample."""
    return price.inference(model, SHAPE, CLASSES, samples=1, batch=1, options=options).flops / 2.0
