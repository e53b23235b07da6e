"""FedLP: whole layers are left out, of what devices send or of what they hold.

By the homogeneous scheme a device trains the whole model and sends each layer with a probability,
the layer-preserving rate; each layer of the server's model becomes the mean over those who sent it.
By the heterogeneous one a device has the first blocks of the model with a head of its own
(`hetsim.learn.models.headed`), trains both, and shares the blocks; only devices that hold the whole
model train its last blocks and its classifier. In both a layer that nobody sent stays as it was.

Source: Zhu, Shi, Luo, Wang, Peng, Fan, Letaief, "FedLP: Layer-wise Pruning Mechanism for
Communication-Computation Efficient Federated Learning", ICC 2023, arXiv 2303.06360, and its code
(github.com/Zhuzzq/FedLP), in which every tensor is drawn by itself (`unit: tensor`), heads start
anew in each round (`head: fresh`), and levels are assigned by lot once, of which fixed proportions
are the expectation. The choice of the level by hardware is hetsim's (assumed). A head, and the own
model of a device that receives only some layers, are kept in storage, not in memory (assumed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.quantities import Fraction
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy, rng
from hetsim.federation.client import Client
from hetsim.federation.run import OnDrop, Run
from hetsim.learn import ops
from hetsim.methods._levels import Leveled, Levels
from hetsim.methods._sgd import require

_HIDDEN = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class FedLP(Leveled):
    """Local SGD of which some layers are sent, or some are held.

    Attributes:
        scheme: homogeneous (everybody trains the whole model and sends some layers of it), or
            heterogeneous (a device trains as many blocks as it can, with a head of its own).
        preserve: with what probability a device sends a layer that it shares; one number for all,
            or one for each device of the fleet. Left out, 0.5 if homogeneous, 1 if heterogeneous.
        unit: what is sent or not: a layer with its normalisation, or a single tensor.
        down: whether the server sends layers with that probability too; a device keeps its own
            where it receives none, once it has a model.
        depths: blocks that a device holds at each level, all of them first; left out, all, then at
            most four smaller ones.
        hidden: features of the first layer of a head, behind pictures and signals.
        head: whether a device goes on with the head that it has (kept), or starts from the same
            first one in each round (fresh).
    """

    on_drop: ClassVar[OnDrop] = "keep"
    keeps_whole: ClassVar[bool] = True
    scheme: Literal["homogeneous", "heterogeneous"] = "homogeneous"
    preserve: Fraction | tuple[Fraction, ...] | None = None
    unit: Literal["layer", "tensor"] = "layer"
    down: bool = False
    depths: tuple[int, ...] = ()
    hidden: int = _HIDDEN
    head: Literal["kept", "fresh"] = "kept"

    def __post_init__(self) -> None:
        Leveled.__post_init__(self)
        rates = self.preserve if isinstance(self.preserve, tuple) else (self.preserve,)
        require(
            bool(rates) and all(rate is None or 0.0 < rate <= 1.0 for rate in rates),
            f"preserve is {self.preserve}", "Give probabilities above 0, up to 1, such as 0.5.",
        )  # fmt: skip
        require(self.hidden >= 1, f"hidden is {self.hidden}", "Choose 1 feature or more.")
        require(
            not (self.deep and self.down),
            "down is on, and the scheme is heterogeneous",
            "Switch it off: devices then hold their own head only. Or choose homogeneous.",
        )
        idle = {
            "depths": bool(self.depths), "hidden": self.hidden != _HIDDEN,
            "head": self.head != "kept", "round_time": self.round_time is not None,
        }  # fmt: skip
        given = ", ".join(name for name, told in idle.items() if told)
        require(
            self.deep or not given,
            f"the scheme is homogeneous, and knows no {given}",
            "Leave that out, or choose the scheme heterogeneous.",
        )

    @property
    def deep(self) -> bool:
        """Whether devices hold models of several depths."""
        return self.scheme == "heterogeneous"

    # --- levels ---------------------------------------------------------------------------------

    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """The whole model, then its first blocks with a head behind them."""
        if not self.deep:
            return [whole]
        count = whole.blocks
        require(
            count > 1 and whole.name != "headed",
            f'model "{whole.name}" has no blocks that could be left out',
            "Choose a chain of more blocks, such as mlp or small_cnn, or the scheme homogeneous.",
        )
        depths = self.depths or ops.depths(whole)
        require(
            depths[0] == count and list(depths) == sorted(set(depths), reverse=True)
            and depths[-1] > 0,
            f'depths are {list(depths)}, and model "{whole.name}" has {count} blocks',
            f"Begin with {count}, the whole model, and go down to 1 at most.",
        )  # fmt: skip
        return [whole, *(ops.with_head(whole, depth, self.hidden) for depth in depths[1:])]

    def towards(self, level: int, top: int, number: int) -> None:
        """Cross entropy."""
        return

    def named(self, level: int, size: ops.Architecture) -> str:
        """By its blocks."""
        return f"first {size.blocks - 1} blocks" if self._headed(size) else "whole model"

    def sent(self, size: ops.Architecture) -> ops.Architecture:
        """All but the head."""
        return size.cut(size.blocks - 1)[0] if self._headed(size) else size

    def own(self, device: Client, part: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """With its head, or with its own layers where it has received none."""
        if part.op == "kept":
            return ops.patched(device.state[_MODEL], part)
        if not self._headed(size):
            return part
        if (name := _head(size)) not in device.state:
            seed = entropy(device.run.seed, "learn/initial", "head", device.id) % 2**63
            device.state[name] = ops.initial(size.cut(size.blocks - 1)[1], seed)
        return ops.join(part, device.state[name])

    def shared(self, device: Client, update: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """All but the head, and of that what is drawn."""
        sent = update
        if self._headed(size):
            sent, head = ops.split(update, size.blocks - 1)
            if self.head == "kept":
                device.state[_head(size)] = head
        if self.down:
            device.state[_MODEL] = update
        return self._some(sent, device, "up")

    def views(self, model: Ref[Any], levels: Levels) -> Mapping[str, Ref[Any]]:
        """None: what a smaller model answers depends on whose head it has."""
        return {}

    # --- the two scripts ------------------------------------------------------------------------

    async def server(self, run: Run) -> None:
        """Rounds of: select, let each train its level, average layer by layer, report.

        Raises:
            SpecError: probabilities for another fleet, or nobody who trains the whole model.
        """
        fleet = len(run.clients)
        require(
            not isinstance(self.preserve, tuple) or len(self.preserve) == fleet,
            f"preserve has another length than the fleet, which has {fleet} devices",
            "Give one probability for each device, or one for all.",
        )
        used = self.levels(run).used
        require(
            not used or 0 in used,
            "no device trains the whole model, so its last blocks would stay untrained",
            "Choose a smaller model, an assignment or a round_time with which somebody does, or "
            "the scheme homogeneous.",
        )
        await Leveled.server(self, run)

    async def client(
        self, device: Client, model: Ref[Any], parts: Mapping[int, Ref[Any]]
    ) -> Ref[Any]:
        """Download what belongs to its level, or some layers, train it, upload some."""
        if self.down and _MODEL in device.state:
            parts = {level: self._some(part, device, "down") for level, part in parts.items()}
            device.run.has(device.hub, *parts.values())
        return await Leveled.client(self, device, model, parts)

    def _some(self, model: Ref[Any], device: Client, way: str) -> Ref[Any]:
        """The units of a model that are drawn for a message."""
        rate = self.preserve
        if rate is None:
            rate = 1.0 if self.deep else 0.5
        if isinstance(rate, tuple):
            rate = rate[device.index]
        if rate == 1.0:
            return model
        again = device.errand.again if device.errand else 0
        count = len(ops.units(ops.model_arch(model), self.unit))
        drawn = preserved(device.run.seed, (way, device.id, device.asked, again), count, rate)
        return ops.kept(model, drawn, self.unit)

    def _headed(self, size: ops.Architecture) -> bool:
        return self.deep and size.name == "headed"


def preserved(
    seed: int, message: tuple[str | int, ...], units: int, rate: Fraction
) -> tuple[int, ...]:
    """Numbers of the units that a message holds, each with probability `rate`.

    Args:
        seed: of the run.
        message: what it is called: its way, its device, its round.
        units: how many there are.
        rate: with what probability each is there.
    """
    drawn = rng(seed, "sim/layers", *message).random(units) < rate
    return tuple(int(number) for number in drawn.nonzero()[0])


def _head(size: ops.Architecture) -> str:
    """Under what name a device keeps the head of a level."""
    return f"head behind {size.blocks - 1} blocks"


_MODEL = "model"
"""Under what name a device keeps its own model."""
