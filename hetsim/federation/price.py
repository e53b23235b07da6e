"""What training a registered model takes, for those who do not look into the learning plane."""

from __future__ import annotations

from hetsim.core.cost import Cost
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import train_cost


def training(
    model: str, shape: tuple[int, ...], classes: int, *, samples: int, batch: int, steps: int
) -> Cost:
    """Work of `steps` plain gradient steps on `samples` samples.

    Args:
        model: name of a registered model.
        shape: of a sample.
        classes: how many it tells apart.
        samples: in all batches together.
        batch: samples a step.
        steps: how many.
    """
    architecture = Architecture.of(model, shape, classes)
    return train_cost(architecture, steps=steps, batch=batch, samples=samples, momentum=False)
