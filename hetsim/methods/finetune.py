"""Fine-tuning: federated averaging that starts from pre-trained layers instead of random ones.

The layers are pre-trained on samples that the task never sees (`task.source` of the topology) and
trained further by the clients; the classifier starts afresh. A yardstick for methods that keep
pre-trained parts frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hetsim.core.ref import Ref
from hetsim.federation.run import Run
from hetsim.methods._local import LocalSgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune(LocalSgd):
    """FedAvg from a pre-trained model.

    Attributes:
        blocks: how many of the first blocks start pre-trained; none for all but the classifier.
    """

    pretrained: ClassVar[bool] = True
    blocks: int | None = None

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    def start(self, run: Run) -> Ref[Any]:
        """The pre-trained model."""
        return run.pretrained_model(self.blocks)
