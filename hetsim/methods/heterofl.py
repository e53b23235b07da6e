"""HeteroFL: each device trains a narrower model, the first channels of every layer of the server's.

At rate r a device has the first r of the channels of each hidden layer, rounded up, so that the
models of smaller rates lie inside those of larger ones. It receives and sends no more than that,
about r^2 of the model's bytes, and each value of the server's model becomes the mean over those
that have it. In training logits of classes that a device does not hold are set to 0, the
classifier's rows of these classes being left to others (the masked loss); the server knows who
holds which.

The source also divides each hidden layer's output by r in training (the scaler). Its networks
normalise by the batch, which undoes that but for rounding; in one that does not, values grow by 1/r
from layer to layer and nothing is learned, so here it is off by default.

Source: Diao, Ding, Tarokh, "HeteroFL: Computation and Communication Efficient Federated Learning
for Heterogeneous Clients", ICLR 2021, and its code (github.com/diaoenmao/HeteroFL-Computation-and-
Communication-Efficient-Federated-Learning-for-Heterogeneous-Clients), which assigns rates by number
or by lot. The choice by memory is hetsim's (assumed). Running statistics of batch normalisation are
the mean over devices that train all channels (assumed; the source keeps none in training, and for a
test measures them again on the data of devices).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetsim.core.quantities import Fraction
from hetsim.learn import ops
from hetsim.methods._levels import Leveled, one_each
from hetsim.methods._sgd import require


@dataclass(frozen=True, slots=True, kw_only=True)
class HeteroFL(Leveled):
    """Local SGD on models of several widths.

    Attributes:
        rates: shares of the channels that a device may train, the largest first.
        scaler: whether what hidden layers give is divided by the rate in training, see above.
        masked: whether a device leaves classes that it does not hold to others.
    """

    rates: tuple[Fraction, ...] = (1.0, 0.5, 0.25, 0.125, 0.0625)
    scaler: bool = False
    masked: bool = True

    def __post_init__(self) -> None:
        Leveled.__post_init__(self)
        rates = list(self.rates)
        require(
            bool(rates) and rates == sorted(set(rates), reverse=True) and rates[-1] > 0.0,
            f"rates are {rates}", "Give shares of the channels above 0, the largest first.",
        )  # fmt: skip
        one_each(self.proportions, len(rates), "rates")

    def named(self, level: int, size: ops.Architecture) -> str:
        """By its width."""
        return f"width {self.rates[level]:g}"

    @property
    def silent(self) -> bool:
        """Under the masked loss."""
        return self.masked

    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """One for each rate."""
        return [ops.narrowed(whole, rate) for rate in self.rates]

    def towards(self, level: int, top: int, number: int) -> ops.Objective | None:
        """The masked loss of a scaled model; plain cross entropy if it is neither."""
        scale = self.rates[level] / self.rates[top] if self.scaler else 1.0
        if scale == 1.0 and not self.masked:
            return None
        return ops.Sliced(scale, self.masked)
