"""How far logits are from a teacher's: what distillation minimises.

With logits p of who learns, t of who teaches, and temperature T,

    K(t, p) = T^2 KL(softmax(t / T) + 1e-7 || softmax(p / T)),    mean over the batch
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

_LITTLE = 1e-7
"""Added to each probability of a teacher."""


def divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """K of the module's docstring; both are [batch, classes]."""
    taught = F.softmax(teacher / temperature, dim=1) + _LITTLE
    spoken = F.log_softmax(logits / temperature, dim=1)
    return temperature * temperature * F.kl_div(spoken, taught, reduction="batchmean")
