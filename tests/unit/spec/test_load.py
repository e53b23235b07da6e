from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.spec import load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-1", -1), ("+1", 1), ("017", 17), ("0o17", 15), ("0x1F", 31),
        ("1.5", 1.5), ("1e6", 1e6), ("1.e6", 1e6), (".5", 0.5), ("6.02E+23", 6.02e23),
        ("true", True), ("True", True), ("FALSE", False),
        ("yes", "yes"), ("on", "on"), ("off", "off"), ("no", "no"), ("y", "y"),
        ("1:30", "1:30"), ("1_000", "1_000"), ("2024-01-01", "2024-01-01"), ("0b1", "0b1"),
        ("1.2.3", "1.2.3"), ("'1'", "1"), ('"true"', "true"), ("''", ""), ("2 Mbit/s", "2 Mbit/s"),
        ("[1, a]", [1, "a"]), ("{a: {b: 2}}", {"a": {"b": 2}}),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    read = load.parse(f"x: {text}", "f").data["x"]
    assert read == value
    assert type(read) is type(value)


def test_on_is_a_key() -> None:
    assert load.parse('on: [["0 h", "2 h"]]', "f").data == {"on": [["0 h", "2 h"]]}


def test_marks_give_the_line_of_the_key() -> None:
    text = "# top\na:\n  - b: 1\n    c:\n      d: [1,\n       2]\n  -\n    b: 2\n"
    document = load.parse(text, "f.yaml")
    assert document.where("a") == "f.yaml:2"
    assert document.where("a", 0, "b") == "f.yaml:3"
    assert document.where("a", 0, "c", "d") == "f.yaml:5"
    assert document.where("a", 0, "c", "d", 1) == "f.yaml:6"
    assert document.where("a", 1, "b") == "f.yaml:8"


def test_what_has_no_line_has_that_of_what_is_around_it() -> None:
    document = load.parse("\na:\n  b: 1\n", "f.yaml")
    assert document.where("a", "c", 4) == "f.yaml:2"
    assert load.Document("f.yaml", {}, {}).where("a") == "f.yaml"


def test_an_alias_of_a_scalar_is_its_value() -> None:
    assert load.parse("a: &s a long source\nb: *s\n", "f").data["b"] == "a long source"


def test_aliases_of_long_texts_are_bounded() -> None:
    text = f"a: &s {'x' * 10_000}\nb: [{', '.join(['*s'] * 1000)}]\n"
    with pytest.raises(SpecError, match="f:2: the alias"):
        load.parse(text, "f")


def test_nulls_only_where_asked_for() -> None:
    with pytest.raises(SpecError, match="f:1: a: has no value"):
        load.parse("a: ~", "f")
    assert load.parse("a: ~\nb:\n", "f", nulls=True).data == {"a": None, "b": None}


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert load.read(path).data == {"a": 1}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        load.read(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="not a file"):
        load.read(tmp_path)


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "? " * 200_000])
def test_depth_costs_nothing(text: str) -> None:
    started = time.process_time()
    with pytest.raises(SpecError):
        load.parse(f"a: {text}", "f")
    assert time.process_time() - started < 1.0


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        load.parse(text, "f")


KEYS = st.text(min_size=1, max_size=8)
LEAVES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["1e6", "on", "null", "~", "<<", "true", "0x1", "1:30", "", "- a", "a: b", "#"]
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_what_is_dumped_is_read_back(data: dict[str, Any]) -> None:
    read = load.parse(load.dump(data), "f").data
    assert read == data
    assert repr(read) == repr(data)


@pytest.mark.parametrize(
    ("place", "key"),
    [((), ""), (("a",), "a"), (("fleet", 2, "link", "rate"), "fleet[2].link.rate"), ((0,), "[0]")],
)
def test_keys_are_shown_as_people_write_them(place: load.Place, key: str) -> None:
    assert load.key_of(place) == key
