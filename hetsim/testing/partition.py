"""What a partition promises."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.core.registry import PARTITIONS, Registry
from hetsim.core.rng import rng
from hetsim.learn.partitions.base import Partition, Shares
from hetsim.testing.suite import PluginSuite

_SAMPLES, _CLASSES, _USERS = 600, 10, 30
_LABELS = rng(7, "learn/labels").integers(0, _CLASSES, _SAMPLES)
_OWNERS = np.arange(_SAMPLES) % _USERS


class PartitionSuite(PluginSuite):
    """A partition deals out every sample once, to everybody some, by its own stream of chance."""

    registry: ClassVar[Registry] = PARTITIONS

    @pytest.mark.parametrize("clients", [1, 2, 7, _USERS])
    def test_deals_every_row_once_and_everybody_some(self, made: Partition, clients: int) -> None:
        shares = _split(made, clients)
        assert len(shares) == clients
        for rows in shares:
            assert rows.dtype == np.int64
            assert len(rows) > 0
            assert (np.diff(rows) > 0).all(), "rows are sorted and none comes twice"
        assert np.array_equal(np.sort(np.concatenate(shares)), np.arange(_SAMPLES))

    def test_depends_on_its_stream_alone(self, made: Partition) -> None:
        once, again, other = _split(made, 7), _split(made, 7), _split(made, 7, seed=1)
        assert all(map(np.array_equal, once, again))
        assert not all(map(np.array_equal, once, other)), "the stream decides nothing"

    def test_leaves_labels_and_owners_as_they_are(self, made: Partition) -> None:
        labels, owners = _LABELS.copy(), _OWNERS.copy()
        made.split(labels, owners, 3, rng(0, "learn/partition"))
        assert np.array_equal(labels, _LABELS)
        assert np.array_equal(owners, _OWNERS)

    def test_too_few_samples_are_refused_with_a_remedy(self, made: Partition) -> None:
        with pytest.raises(SpecError) as refusal:
            made.split(_LABELS[:5], _OWNERS[:5], 6, rng(0, "learn/partition"))
        assert refusal.value.remedy


def _split(partition: Partition, clients: int, seed: int = 0) -> Shares:
    return partition.split(_LABELS, _OWNERS, clients, rng(seed, "learn/partition"))
