"""What joins two parts of different models: one's activations become what the other expects.

A picture is brought to the other's height and width first, by means over equal areas where it is
larger and by repeating points where it is smaller; then a linear map goes across the channels of
each point (a 1x1 convolution with bias), and ReLU. Features without place are a picture of one
point, and a picture becomes such features by its mean over all points.

The stitching layers of Yang et al., "Deep model reassembly" (NeurIPS 2022, arXiv 2210.17409), are
trained, with normalisation and LeakyReLU(0.1); here there is no normalisation, since a map that is
fitted by least squares finds the scales itself, and ReLU (reconstructed). ReLU suits parts whose
native inputs are not negative, as those of all models here are but mobilenetv2: its blocks end
without ReLU, so of their native values, to which the map is fitted, the negative ones are clipped.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

_CONVOLUTIONS = {2: nn.Conv1d, 3: nn.Conv2d}
_MEANS = {2: F.adaptive_avg_pool1d, 3: F.adaptive_avg_pool2d}


class Stitch(nn.Module):
    """From activations of shape `given`, for one sample, to activations of shape `wanted`.

    Raises:
        ValueError: one is a signal and the other a picture.
    """

    def __init__(self, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        super().__init__()
        if 1 not in (len(given), len(wanted)) and len(given) != len(wanted):
            raise ValueError(f"activations {given} cannot be made into activations {wanted}")
        self.wanted = wanted
        convolution = _CONVOLUTIONS.get(len(wanted))
        self.layer = (
            convolution(given[0], wanted[0], 1) if convolution else nn.Linear(given[0], wanted[0])
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, *given] to [n, *wanted]."""
        return F.relu(self.layer(resized(x, self.wanted[1:])))


def resized(x: Tensor, places: tuple[int, ...]) -> Tensor:
    """Activations [n, channels, *places]: means of what is larger, copies of what is smaller."""
    if not places:
        return pooled(x)
    if x.dim() == 2:
        x = x.reshape(*x.shape, *(1,) * len(places))
    smaller = [min(pair) for pair in zip(x.shape[2:], places, strict=True)]
    if smaller != list(x.shape[2:]):
        x = _MEANS[1 + len(places)](x, smaller)
    return x if smaller == list(places) else F.interpolate(x, size=list(places))


def pooled(x: Tensor) -> Tensor:
    """Features [n, channels]: the mean of every channel over all places."""
    return x.flatten(2).mean(2) if x.dim() > 2 else x
