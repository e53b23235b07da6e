"""Arithmetic on lists of tensors, one call for a whole model.

torch keeps these under names with an underscore, though its optimizers are made of them; this is
the only file that says so.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

Tensors: TypeAlias = list[Tensor] | tuple[Tensor, ...]

copy_ = torch._foreach_copy_  # pyright: ignore[reportPrivateImportUsage]
"""Each target takes the value of its source."""
add_ = torch._foreach_add_  # pyright: ignore[reportPrivateImportUsage]
"""target <- target + alpha * other."""
mul_ = torch._foreach_mul_  # pyright: ignore[reportPrivateImportUsage]
"""target <- target * factor."""
sub = torch._foreach_sub  # pyright: ignore[reportPrivateImportUsage]
"""left - right."""
