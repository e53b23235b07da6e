"""Random streams with names: a stream depends on its name, never on who asked first.

Names start with `sim/` or `learn/`, so that turning churn on cannot change a minibatch.
"""

from __future__ import annotations

import hashlib

import numpy as np

PLANES = ("sim/", "learn/")


def entropy(seed: int, stream: str, *name: str | int) -> int:
    """64 bits that depend on `seed` and the name only; the seed for a torch generator.

    >>> entropy(0, "learn/batches", "pi-0", 3) == entropy(0, "learn/batches", "pi-0", 3)
    True

    Raises:
        ValueError: the stream belongs to neither plane.
    """
    if not stream.startswith(PLANES):
        raise ValueError(f'random stream {stream!r}: begin its name with "sim/" or "learn/"')
    text = "\x1f".join([str(seed), stream, *map(str, name)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def rng(seed: int, stream: str, *name: str | int) -> np.random.Generator:
    """The generator of the stream called `stream`, `name`."""
    words = np.random.SeedSequence(entropy(seed, stream, *name))
    return np.random.Generator(np.random.PCG64(words))
