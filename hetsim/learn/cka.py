"""How alike two representations of the same samples are: debiased linear CKA.

Source: centred kernel alignment, Kornblith et al., "Similarity of neural network representations
revisited" (ICML 2019, arXiv 1905.00414); its debiased form in mini-batches, Nguyen et al. (ICLR
2021, arXiv 2010.15327), of the estimator of HSIC by Song et al., "Feature selection via dependence
maximization" (JMLR 2012). For features X [n, p] and Y [n, q] of n samples, with K = X X' and
L = Y Y', both with zeros on the diagonal,

    HSIC(K, L) = [ tr(K L) + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 1'K L1 / (n - 2) ] / (n (n - 3))
    CKA        = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))

HSIC is an unbiased estimate whatever n is, so its mean over mini-batches is one too: numerator and
denominators are averaged before they are divided. Without the correction a representation of many
features looks like any other. Everything is in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LEAST = 4
"""Samples of a batch, at least."""
_ROUNDING = 1e-12
"""HSIC of a representation with itself, as a share of its mean square, that rounding may make."""


def gram(features: Tensor) -> Tensor:
    """Products [n, n] float64 of the features [n, p] of each pair of samples, none with itself.

    Their mean is taken off first: HSIC does not see it, and without it less is lost by rounding.
    """
    x = features.double()
    x = x - x.mean(0)
    return (x @ x.T).fill_diagonal_(0.0)


def hsic(k: Tensor, l: Tensor) -> float:  # noqa: E741
    """The debiased estimate from the Gram matrices of two representations.

    Raises:
        ValueError: fewer than four samples.
    """
    return float(_hsic(torch.stack([k, l]))[0, 1])


class Sums:
    """CKA between every two of several representations, from batches of samples.

    Attributes:
        batches: added so far.
    """

    def __init__(self) -> None:
        self.batches = 0
        self._hsic = self._square = torch.zeros(0)

    def add(self, representations: Sequence[Tensor]) -> None:
        """Take in a batch: features [n, p] of its samples in each representation, in order.

        Raises:
            ValueError: fewer than four samples.
        """
        grams = torch.stack([gram(features) for features in representations])
        n = grams.shape[1]
        found = _hsic(grams), grams.square().sum((1, 2)) / (n * (n - 3))
        if self.batches:
            found = self._hsic + found[0], self._square + found[1]
        self._hsic, self._square = found
        self.batches += 1

    def hsic(self) -> Tensor:
        """The mean of HSIC over the batches, [m, m] float64."""
        return self._hsic / self.batches

    def cka(self) -> Tensor:
        """CKA [m, m] float64; zero for a representation that does not tell samples apart.

        That is one whose own HSIC is not above zero, such as labels that are all the same.
        """
        own = self._hsic.diagonal()
        tells = own > _ROUNDING * self._square
        scale = torch.where(tells, own, 1.0).sqrt()
        return self._hsic / torch.outer(scale, scale) * torch.outer(tells, tells)


def _hsic(grams: Tensor) -> Tensor:
    """HSIC between every two of m Gram matrices [m, n, n]."""
    n = grams.shape[1]
    if n < LEAST:
        raise ValueError(f"HSIC takes at least {LEAST} samples, not {n}")
    flat, rows = grams.flatten(1), grams.sum(2)
    total = rows.sum(1)
    found = (
        flat @ flat.T
        + torch.outer(total, total) / ((n - 1) * (n - 2))
        - (rows @ rows.T) * (2 / (n - 2))
    ) / (n * (n - 3))
    return (found + found.T) / 2
