"""A client's samples: computed by looking them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.ops.base import Operation
from hetsim.learn.resident import Resident, Rows


def _shard(ref: Ref[Rows], inputs: Sequence[Any], resident: Resident) -> Rows:
    return resident.rows(ref)


SHARD = Operation(compute=_shard, light=True)
