"""What split learning sends for each batch, to the byte.

Three messages: activations with labels (up), the gradient of activations (down), and logits, where
a method exchanges them. The authors of EcoFed (Wu et al., arXiv 2304.05495) pickle lists of tensors
and count the bytes of these. Messages made as their code makes them, of 10 samples of 128 x 8 x 8
values, have been measured:

    int8 activations and labels   82,818 = 10 * 8,192     + 10 * 8 + 818
    float32 ones and labels      328,514 = 10 * 8,192 * 4 + 10 * 8 + 754
    float32 gradient             328,164 = 10 * 8,192 * 4          + 484

What is not payload is a header, which does not grow with the payload; a quantised tensor's holds
its scale and zero point. A further tensor in a message costs what the labels do there, 270.
"""

from __future__ import annotations

from math import ceil, prod

from hetsim.core.quantities import Bytes
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT

LABEL: Bytes = 8
"""Bytes of a label (int64)."""
BITS = (8, 32)
"""Of an activation: quantised to int8, or float32 as it is."""
HEADERS: dict[int, Bytes] = {8: 818, 32: 754}
"""Of a message of activations and labels, by the bits of an activation."""
GRADIENT_HEADER: Bytes = 484
"""Of a message of one float32 tensor."""
FURTHER: Bytes = 754 - 484
"""Of each further tensor in a message."""


def activation_bytes(values: int, samples: int, bits: int) -> Bytes:
    """A message of so many activations, in all, and the labels of so many samples.

    >>> activation_bytes(10 * 128 * 8 * 8, 10, 8)
    82818
    """
    return values * bits // 8 + samples * LABEL + HEADERS[bits]


def gradient_bytes(values: int) -> Bytes:
    """A message of a float32 tensor alone: a gradient, or a server's logits.

    >>> gradient_bytes(10 * 128 * 8 * 8)
    328164
    """
    return values * FLOAT + GRADIENT_HEADER


def further_bytes(values: int) -> Bytes:
    """What one more float32 tensor adds to a message, such as the logits of a client."""
    return values * FLOAT + FURTHER


def sizes(architecture: Architecture, samples: int, batch: int, bits: int) -> tuple[Bytes, ...]:
    """Every message of activations of a front part for so many samples, the last may be smaller."""
    whole, rest = divmod(samples, batch)
    counts = [batch] * whole + ([rest] if rest else [])
    values = prod(architecture.gives)
    return tuple(activation_bytes(values * count, count, bits) for count in counts)


def sent(architecture: Architecture, samples: int, batch: int, steps: int) -> Bytes:
    """All messages of float32 activations in the first `steps` steps of a training."""
    passes, rest = divmod(steps, ceil(samples / batch))
    return passes * sum(sizes(architecture, samples, batch, 32)) + sum(
        sizes(architecture, min(rest * batch, samples), batch, 32)
    )


def answers(architecture: Architecture, samples: int, messages: int) -> Bytes:
    """All gradients that answer so many messages of activations of a front part."""
    return prod(architecture.gives) * samples * FLOAT + messages * GRADIENT_HEADER
