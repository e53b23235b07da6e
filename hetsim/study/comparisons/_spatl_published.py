"""What the authors of SPATL printed of traffic and operations.

Yu et al., "SPATL: Salient Parameter Aggregation and Transfer Learning for Heterogeneous Federated
Learning", SC 2022, arXiv 2111.14345: its Table I as it is shown in github.com/yusx-swapp/SPATL, and
the abstracts of its two versions. The body of the article was not at hand.
"""

from __future__ import annotations

from typing import NamedTuple

TABLE_SOURCE = "Table I, github.com/yusx-swapp/SPATL"
ABSTRACT = "abstract of arXiv 2111.14345v2"
FIRST_ABSTRACT = "abstract of arXiv 2111.14345v1"


class Line(NamedTuple):
    """A row of Table I: what 80 % on CIFAR-10 took ten clients.

    Attributes:
        method: by the name that hetsim has for it.
        model: by that name too.
        rounds: until then.
        mb: a round and client.
        gb: in all.
        more_gb: than FedAvg.
        speedup: over FedAvg, of the totals.
    """

    method: str
    model: str
    rounds: int
    mb: float
    gb: float
    more_gb: float
    speedup: float


LINES = (
    Line("fedavg", "resnet20", 203, 2.1, 4.16, 0.0, 1.0),
    Line("fedavg", "resnet32", 192, 3.2, 6.00, 0.0, 1.0),
    Line("fedavg", "vgg11_plain", 181, 42.0, 74.24, 0.0, 1.0),
    Line("fednova", "resnet20", 198, 4.2, 8.12, 3.96, 0.51),
    Line("fednova", "resnet32", 197, 6.4, 12.31, 6.31, 0.48),
    Line("fednova", "vgg11_plain", 159, 84.0, 130.43, 56.19, 0.57),
    Line("fedprox", "resnet20", 288, 2.1, 5.91, 1.75, 0.70),
    Line("fedprox", "resnet32", 400, 3.2, 12.80, 6.80, 0.47),
    Line("fedprox", "vgg11_plain", 296, 42.0, 121.41, 47.17, 0.61),
    Line("scaffold", "resnet20", 49, 4.3, 2.10, -2.06, 1.98),
    Line("scaffold", "resnet32", 55, 6.5, 3.60, -2.40, 1.67),
    Line("scaffold", "vgg11_plain", 54, 84.0, 45.00, -29.24, 1.65),
    Line("spatl", "resnet20", 52, 2.1, 1.10, -3.06, 3.78),
    Line("spatl", "resnet32", 50, 3.6, 1.80, -4.20, 3.33),
    Line("spatl", "vgg11_plain", 46, 61.3, 28.00, -46.24, 2.65),
)
LESS_PERCENT, LESS_TIMES = 86.45, 7.4
"""Up to so much less is sent (the second on ResNet-20)."""
SAVED_PERCENT = 39.7
"""Up to so many operations fewer in inference, VGG-11."""
FIRST_SAVED_GB, FIRST_TIMES = 108.0, 7.6
"""On VGG-11, and on ResNet-20."""
EPISODES, VALIDATED = 30, 10_000
"""Of the agent in a client's round by default, and samples that each is scored on."""
EPOCHS, SAMPLES = 10, 5_000
"""Of a client's training in the same runs."""
