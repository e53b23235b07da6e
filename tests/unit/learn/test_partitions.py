from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.core.registry import PARTITIONS
from hetsim.core.rng import rng
from hetsim.learn.partitions.base import Partition
from hetsim.learn.partitions.by_user import ByUser
from hetsim.learn.partitions.dirichlet import Dirichlet
from hetsim.learn.partitions.iid import IID
from hetsim.learn.partitions.shards import Shards

STREAM = "learn/partition"


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Partition, np.ndarray, np.ndarray, int, int]:
    """A partition, labels, users, clients, and the fewest samples that it promises each."""
    clients = draw(st.integers(1, 25))
    minimum = draw(st.integers(1, 4))
    samples = draw(st.integers(clients * minimum, clients * minimum + 200))
    seed = draw(st.integers(0, 2**32))
    chance = rng(seed, "learn/test")
    labels = chance.integers(0, draw(st.integers(1, 10)), samples)
    users = np.concatenate([np.arange(clients), chance.integers(0, 40, samples - clients)])
    alpha = draw(st.floats(1e-3, 1e3))
    partition = draw(
        st.sampled_from(
            [IID(), Dirichlet(alpha=alpha, minimum=minimum), Shards(per_client=minimum), ByUser()]
        )
    )
    return partition, labels, users, clients, 1 if isinstance(partition, ByUser) else minimum


@given(worlds(), st.integers(0, 2**32))
def test_every_sample_falls_to_one_client_and_every_client_gets_some(
    world: tuple[Partition, np.ndarray, np.ndarray, int, int], seed: int
) -> None:
    partition, labels, users, clients, minimum = world
    shares = partition.split(labels, users, clients, rng(seed, STREAM))
    assert len(shares) == clients
    assert sorted(np.concatenate(shares).tolist()) == list(range(len(labels)))
    assert min(len(share) for share in shares) >= minimum
    assert all(np.all(np.diff(share) > 0) for share in shares)
    again = partition.split(labels, users, clients, rng(seed, STREAM))
    assert all(np.array_equal(*pair) for pair in zip(shares, again, strict=True))


@pytest.mark.parametrize("partition", [IID(), Dirichlet(), Shards(), ByUser()])
def test_too_many_clients_are_refused_with_a_remedy(partition: Partition) -> None:
    labels, users = np.arange(10) % 3, np.arange(10) % 4
    with pytest.raises(SpecError, match="fewer devices"):
        partition.split(labels, users, 11, rng(0, STREAM))


@pytest.mark.parametrize(
    ("partition", "says"),
    [
        (IID(), "at most 10 can hold data"),
        (Dirichlet(minimum=3), "at most 3 can hold data.*or lower `minimum`"),
        (Shards(per_client=2), "at most 5 can hold data.*or lower `per_client`"),
        (ByUser(), "at most 4 can hold data"),
    ],
)
def test_the_remedy_says_how_far_to_go(partition: Partition, says: str) -> None:
    labels, users = np.arange(10) % 3, np.arange(10) % 4
    with pytest.raises(SpecError) as caught:
        partition.split(labels, users, 11, rng(0, STREAM))
    assert re.search(says, caught.value.remedy)
    assert "`data: none`" in caught.value.remedy


def test_iid_shares_differ_by_at_most_one_sample() -> None:
    sizes = [len(share) for share in IID().split(np.zeros(103), None, 10, rng(0, STREAM))]
    assert sorted(sizes) == [10] * 7 + [11] * 3


def test_alpha_sets_the_skew() -> None:
    """The share of a client's commonest label: near one for small alpha, near a tenth for large."""
    labels = np.arange(5000) % 10

    def commonest(alpha: float) -> float:
        shares = Dirichlet(alpha=alpha).split(labels, None, 20, rng(1, STREAM))
        return float(np.mean([np.bincount(labels[s], minlength=10).max() / len(s) for s in shares]))

    assert commonest(0.01) > 0.8
    assert 0.25 < commonest(0.5) < 0.6
    assert commonest(1000) < 0.15


def test_a_shortage_is_filled_from_the_largest_share() -> None:
    """With one label and tiny alpha one client draws everything and gives the rest their due."""
    shares = Dirichlet(alpha=1e-3, minimum=7).split(np.zeros(100, int), None, 5, rng(3, STREAM))
    assert sorted(len(share) for share in shares) == [7, 7, 7, 7, 72]


def test_shards_hold_few_labels() -> None:
    labels = np.arange(2000) % 10
    shares = Shards(per_client=2).split(labels, None, 50, rng(0, STREAM))
    assert max(len(np.unique(labels[share])) for share in shares) <= 2
    assert {len(share) for share in shares} == {40}


def test_a_client_is_a_person() -> None:
    users = np.repeat([3, 5, 8, 9], [4, 1, 6, 2])
    shares = ByUser().split(np.zeros(13), users, 4, rng(0, STREAM))
    assert sorted(np.unique(users[share]).tolist() for share in shares) == [[3], [5], [8], [9]]
    halves = ByUser().split(np.zeros(13), users, 2, rng(0, STREAM))
    assert [len(np.unique(users[share])) for share in halves] == [2, 2]


def test_a_data_set_without_people_has_no_partition_by_user() -> None:
    with pytest.raises(SpecError, match="hapt or spoken_digits"):
        ByUser().split(np.zeros(13), None, 4, rng(0, STREAM))


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"alpha": 0.0}, Dirichlet), ({"alpha": float("nan")}, Dirichlet), ({"minimum": 0}, Dirichlet),
     ({"per_client": 0}, Shards)],
)  # fmt: skip
def test_nonsense_is_refused(options: dict[str, float], kind: type) -> None:
    with pytest.raises(SpecError, match=r"task\.partition"):
        kind(**options)


def test_all_are_plug_ins() -> None:
    assert PARTITIONS.names() == ["by_user", "dirichlet", "iid", "shards"]
    assert PARTITIONS.load("iid") is IID
    assert PARTITIONS.load("by_user") is ByUser
