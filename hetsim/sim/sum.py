"""A sum of floats that come and go, kept to twice their precision.

The sum is held as a float and its error, so that taking away the largest term leaves the smallest
to full precision: after 0.1 + 1e17 - 1e17 it is 0.1.

Source: Knuth, The Art of Computer Programming, vol. 2, section 4.2.2, theorem B.
"""

from __future__ import annotations


class Sum:
    """A sum; its value is `total + error`.

    >>> sum = Sum()
    >>> for value in (0.1, 1e17, -1e17):
    ...     sum.add(value)
    >>> sum.total + sum.error
    0.1
    """

    __slots__ = ("error", "total")

    def __init__(self) -> None:
        self.total = self.error = 0.0

    def add(self, value: float) -> None:
        """Add `value`; take it away by adding its negative."""
        old = self.total
        total = old + value
        part = total - old
        self.error += (old - (total - part)) + (value - part)
        self.total = total

    def clear(self) -> None:
        """Nothing is left."""
        self.total = self.error = 0.0
