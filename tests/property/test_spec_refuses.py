"""Whatever stands in a file, it is read or refused with a place and a remedy; nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.spec import load
from hetsim.spec.profile import load_profile
from hetsim.spec.schema import load_topology

ODD = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["none", "1 s", "-1 W", "0 %", "1e300 d", "5 Mbit/s", "../x", 2**70]),
    st.sampled_from([[], [[]], ["a"], {}, {"name": 1}, {"name": []}, {"technology": []}]),
    st.just({"value": "1 W", "source": "x"}),
)


def places(value: Any, place: load.Place = ()) -> Iterator[load.Place]:
    """Every place in a file but the top."""
    if place:
        yield place
    items = enumerate(value) if isinstance(value, list) else ()
    for key, inner in value.items() if isinstance(value, dict) else items:
        yield from places(inner, (*place, key))


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("topologies/iot_mix.yaml", lambda path: load_topology(path).resolved()),
        ("topologies/gateways_campus.yaml", lambda path: load_topology(path).resolved()),
        ("device_profiles/pixel_6.yaml", load_profile),
    ],
    ids=["topology", "gateways", "profile"],
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_an_odd_value_anywhere_is_read_or_refused(
    file: str,
    read: Callable[[Path], object],
    choice: st.DataObject,
    repo: Path,
    tmp_path: Path,
) -> None:
    data = copy.deepcopy(load.read(repo / file).data)
    place = choice.draw(st.sampled_from(list(places(data))))
    holder: Any = data
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = choice.draw(ODD)
    path = tmp_path / "odd.yaml"
    path.write_text(load.dump(data), encoding="utf-8")
    refused: SpecError | None = None
    try:
        read(path)
    except SpecError as error:
        refused = error
    if refused is not None:
        assert refused.where.startswith(f"{path}:")
        assert refused.remedy
