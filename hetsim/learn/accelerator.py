"""A device of torch's beside the CPU: whether it can be used, its memory, arithmetic that repeats.

The CPU counts as one too, so that what runs on a GPU can be tried anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import torch

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Bytes
from hetsim.learn.numerics import tag


class Accelerator:
    """One device.

    Attributes:
        device: torch's.
    """

    def __init__(self, name: str | None = None) -> None:
        """Find it.

        Args:
            name: torch's ("cuda:1"); by default the first GPU.

        Raises:
            SpecError: there is none, or torch cannot use it.
        """
        key, remedy = "executor (gpu)", "Use --executor inline or pool, or a torch for this GPU."
        if name is None and not torch.cuda.is_available():
            raise SpecError("no GPU that torch can use", key=key, remedy=remedy)
        try:
            self.device = torch.empty(0, device=name or "cuda").device
        except (RuntimeError, AssertionError) as fault:
            what = f'device "{name}" cannot be used: {str(fault).splitlines()[0]}'
            raise SpecError(what, key=key, remedy=remedy) from fault
        if self._is_gpu:  # unless this is said at first, cuBLAS chooses the order of its sums
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"

    @property
    def tag(self) -> str:
        """Names device, versions and settings that results depend on, fit for a folder."""
        if not self._is_gpu:
            return f"{self.device.type}-vmap_{tag()}"
        gpu = torch.cuda.get_device_properties(self.device)
        parts = [
            "cuda-f32-vmap",
            f"torch-{torch.__version__}",
            f"cuda-{torch.version.cuda or torch.version.hip}",
            f"cudnn-{torch.backends.cudnn.version()}",
            f"{gpu.name}-{gpu.major}.{gpu.minor}",
            "no-tf32",
            tag(),  # fresh models come from the CPU
        ]
        return "_".join(parts).replace(" ", "-").replace("/", "-")

    def free(self) -> Bytes:
        """Free memory of a GPU; another device does not tell, and has no limit here."""
        return float(torch.cuda.mem_get_info(self.device)[0]) if self._is_gpu else inf

    def release(self) -> None:
        """Give memory that nothing uses back to the device."""
        if self._is_gpu:
            torch.cuda.empty_cache()

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """Inside, torch takes deterministic kernels and full float32 products, or raises."""
        matmul, memory = torch.backends.cuda.matmul, torch.utils.deterministic
        mode, tf32 = torch.get_deterministic_debug_mode(), matmul.allow_tf32
        fill = memory.fill_uninitialized_memory  # costs time, and nothing reads what is not set
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        try:
            torch.set_deterministic_debug_mode("error")
            matmul.allow_tf32 = False
            memory.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
            with exact:
                yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            matmul.allow_tf32 = tf32
            memory.fill_uninitialized_memory = fill  # pyright: ignore[reportAttributeAccessIssue]

    @contextmanager
    def chance(self, seed: int) -> Iterator[None]:
        """Whatever draws on the device inside draws from `seed`, and nothing outside notices."""
        generator = torch.default_generator
        if self._is_gpu:
            generator = torch.cuda.default_generators[self.device.index]
        with torch.random.fork_rng([self.device] if self._is_gpu else []):
            generator.manual_seed(seed)
            yield

    @property
    def _is_gpu(self) -> bool:
        return self.device.type == "cuda"
