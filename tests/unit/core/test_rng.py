"""Random streams depend on their name and on nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.rng import entropy, rng

parts = st.lists(
    st.integers(0, 99) | st.from_regex(r"[a-z0-9./-]{1,8}", fullmatch=True), max_size=3
)
streams = st.sampled_from(["sim/churn", "sim/link", "learn/batches", "learn/init"])


Name = tuple[str, tuple[str | int, ...]]


@given(st.lists(st.tuples(streams, parts.map(tuple)), min_size=2, max_size=5, unique=True))
def test_a_stream_does_not_depend_on_creation_order(wanted: list[Name]) -> None:
    def draw(order: list[Name]) -> dict[Name, list[float]]:
        made = {(stream, name): rng(7, stream, *name) for stream, name in order}
        return {name: generator.random(3).tolist() for name, generator in made.items()}

    assert draw(wanted) == draw(wanted[::-1])


def test_drawing_from_one_stream_does_not_move_another() -> None:
    one, other = rng(0, "sim/churn", "pi-0"), rng(0, "sim/churn", "pi-1")
    undisturbed = rng(0, "sim/churn", "pi-1").random(4).tolist()
    one.random(1000)
    assert other.random(4).tolist() == undisturbed


@given(st.integers(-5, 5), st.integers(-5, 5), streams, streams, parts, parts)
def test_streams_are_equal_only_for_the_same_name(
    seed: int, seed2: int, stream: str, stream2: str, name: list[str | int], name2: list[str | int]
) -> None:
    same = (seed, stream, [*map(str, name)]) == (seed2, stream2, [*map(str, name2)])
    assert (entropy(seed, stream, *name) == entropy(seed2, stream2, *name2)) == same


def test_the_parts_of_a_name_do_not_run_together() -> None:
    assert entropy(0, "sim/x", "ab", "c") != entropy(0, "sim/x", "a", "bc")
    assert entropy(0, "sim/x", 1, 11) != entropy(0, "sim/x", 11, 1)
    assert entropy(1, "sim/x", 1) != entropy(11, "sim/x")


def test_streams_are_known_for_good() -> None:
    """A stored run can be played again only while these numbers stay."""
    assert entropy(0, "sim/churn", "pi-0", 3) == 5964650111079704417
    assert rng(0, "sim/churn", "pi-0", 3).integers(1000, size=4).tolist() == [1, 336, 998, 975]


def test_the_seed_of_a_torch_generator_fits_64_bits() -> None:
    assert all(0 <= entropy(seed, "learn/batches") < 2**64 for seed in range(200))


def test_uniform_numbers_are_uniform() -> None:
    """Means over 400 streams: their first draws are as independent as draws of one stream."""
    first = [float(rng(0, "sim/churn", f"pi-{i}").random()) for i in range(400)]
    assert abs(sum(first) / 400 - 0.5) < 4 * (1 / 12 / 400) ** 0.5


@pytest.mark.parametrize("stream", ["", "churn", "time/churn", "pi-0"])
def test_a_stream_belongs_to_a_plane(stream: str) -> None:
    with pytest.raises(ValueError, match='begin its name with "sim/" or "learn/"'):
        rng(0, stream)
