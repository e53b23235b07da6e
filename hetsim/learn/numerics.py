"""Which numbers a host produces: one thread, a tag for its arithmetic, hashes of tensors.

Results are bitwise equal wherever `tag` is equal. Threads split sums, so every process that
computes calls `single_thread` first and never looks at the environment's thread count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

State: TypeAlias = dict[str, Tensor]
"""Parameters and buffers by name: CPU, contiguous, float32 (counters int64)."""

_FEATURES = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile")
"""Instruction sets between which oneDNN's kernels differ."""


def single_thread() -> None:
    """One intra-op thread in this process; on a CPU that alone fixes the order of every sum."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """Whatever draws from torch's global generator inside draws from `seed`, and nothing outside.

    For what takes no generator of its own: the initial weights of a layer, dropout.
    """
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)


@cache
def tag() -> str:
    """Names this host's arithmetic; values of two tags never mix.

    It holds which models are trained in stacks, the torch version, the vector width of torch's own
    kernels and the instruction sets that oneDNN chooses its kernels by, with their limits from the
    environment.
    """
    able = torch.cpu.get_capabilities()
    isa = [name for name in _FEATURES if able.get(name)] or [able.get("architecture", "generic")]
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA")
    parts = [
        "cpu-f32-stacked",
        f"torch-{torch.__version__}",
        torch.backends.cpu.get_cpu_capability().lower().replace(" ", "-"),
        "onednn-" + "+".join(isa if limit is None else [*isa, f"max-{limit.lower()}"]),
    ]
    return "_".join(parts)


def model_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and little-endian bytes, by sorted name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(little_endian(tensor))
    return digest.hexdigest()


def little_endian(tensor: Tensor) -> bytes:
    """The tensor's elements in row order."""
    array = tensor.detach().contiguous().numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
