"""DepthFL: each device trains the first blocks of the model, with a classifier after some of them.

The model has exits after several of its blocks (`hetsim.learn.models.multi_exit`). A device trains
the model up to one of its exits, with the exits before it; the exits of a device teach one another.
Each value of the server's model becomes the mean over the devices that have it. The server's model
answers by the mean of the logits of all its exits, and that is what is evaluated.

Source: Kim, Yu, Kim, Moon, "DepthFL: Depthwise Federated Learning for Heterogeneous Clients", ICLR
2023; losses, weights and the ensemble are those of the authors' code in Flower's baselines
(github.com/adap/flower, baselines/depthfl), whose weight of distillation rises over 300 of 1000
rounds, and which adds FedDyn's regularisation (left out here). Exits after any blocks, of a mean
and one layer, and the choice of the depth by memory are hetsim's (assumed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from hetsim.learn import ops
from hetsim.methods._levels import Leveled
from hetsim.methods._sgd import require


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthFL(Leveled):
    """Local SGD on models of several depths.

    Attributes:
        exits: blocks of the model before each exit; left out, at most four in equal distances, the
            last one at the end.
        distillation: weight of what exits learn from one another; 0 for labels alone.
        rampup: rounds over which that weight rises, as exp(-5 (1 - round / rampup)^2).
        temperature: of what exits learn from one another.
    """

    exits: tuple[int, ...] = ()
    distillation: float = 1.0
    rampup: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        Leveled.__post_init__(self)
        weight = self.distillation
        require(weight >= 0.0, f"distillation is {weight:g}", "Choose 0 or more.")
        require(self.rampup >= 0, f"rampup is {self.rampup}", "Choose 0 rounds or more.")
        require(
            self.temperature > 0.0,
            f"temperature is {self.temperature:g}", "Choose a temperature above 0, such as 1.",
        )  # fmt: skip

    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """One up to each exit."""
        return ops.with_exits(whole, self.exits)

    def named(self, level: int, size: ops.Architecture) -> str:
        """By its exits."""
        exits = dict(size.options)["exits"]
        assert isinstance(exits, tuple)
        return f"{len(exits)} exit{'s' * (len(exits) > 1)}"

    def towards(self, level: int, top: int, number: int) -> ops.Objective | None:
        """The losses of all exits, and what they learn from each other."""
        rising = 1.0 - min(number / self.rampup, 1.0) if self.rampup else 0.0
        return ops.Distilled(self.distillation * exp(-5.0 * rising**2), self.temperature)
