"""Whether a sample fits a model, and whether a model's sizes make sense."""

from __future__ import annotations

from math import ceil

from hetsim.core.errors import SpecError


def require(model: str, shape: tuple[int, ...], axes: str, smallest: int) -> None:
    """Refuse samples that do not have the axes ("channels, height, width") or are too small.

    Raises:
        SpecError: wrong number of axes, or fewer than `smallest` points along one of them.
    """
    names = axes.split(", ")
    size = " x ".join(map(str, shape))
    if len(shape) != len(names):
        raise SpecError(
            f'model "{model}" takes samples of {axes}; these are {size}',
            remedy="Choose logistic or mlp, which take samples of any shape, or another data set.",
        )
    if min(shape[1:]) < smallest:
        raise SpecError(
            f'model "{model}" needs at least {smallest} points along {axes.split(", ", 1)[1]}; '
            f"these samples are {size}",
            remedy="Choose a model for small samples (logistic, mlp, small_cnn), or a data set "
            "with larger ones (fashion_mnist, cifar10).",
        )


def positive(**sizes: float) -> None:
    """Refuse sizes that are not above zero.

    Raises:
        ValueError: one of them is not.
    """
    for name, size in sizes.items():
        if size <= 0:
            raise ValueError(f"{name} is {size}, and must be above zero")


def scaled(channels: int, width: float) -> int:
    """Hidden channels of a network `width` times as wide.

    >>> scaled(40, 0.5), scaled(40, 0.01)
    (20, 1)

    Raises:
        ValueError: a width that is not above zero.
    """
    positive(width=width)
    return ceil(channels * width)
