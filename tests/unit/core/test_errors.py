"""Messages say where, what and what to do; errors survive the way from a worker."""

from __future__ import annotations

import math
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core import errors
from hetsim.core.errors import (
    CAUSES,
    CausalityError,
    Dropped,
    HetsimError,
    Interrupted,
    NeedsLearning,
    OutOfMemory,
    SpecError,
    Stuck,
    UnknownName,
    did_you_mean,
    si,
)

EVERY = [
    HetsimError("plain"),
    SpecError("20 has no unit.", where="a.yaml:14", key="fleet[2].rate", remedy='Write "20 MB/s".'),
    UnknownName("method", "fedstich", ["fedstitch", "fedavg"], where="a.yaml:3"),
    OutOfMemory("pi-0", needed=3e9, free=2e9),
    NeedsLearning("this run computes nothing"),
    CausalityError("cam-3 never received 9f2c"),
    Dropped("battery", 0.25),
    Stuck("the disk is full"),
    Interrupted("stopped after round 3"),
]


def test_spec_errors_name_place_key_fault_and_remedy() -> None:
    assert str(EVERY[1]) == 'a.yaml:14: fleet[2].rate: 20 has no unit.\n    Write "20 MB/s".'


def test_what_is_not_known_is_left_out() -> None:
    assert str(SpecError("no such file.")) == "no such file."
    assert str(SpecError("no such file.", where="--out")) == "--out: no such file."


def test_an_unknown_name_without_any_known_one() -> None:
    error = UnknownName("method", "fedavg", [])
    assert str(error) == 'no method "fedavg".\n    Known: none.'


def test_unknown_names_are_the_users_mistake() -> None:
    assert isinstance(UnknownName("method", "x", []), SpecError)


def test_known_names_are_sorted_and_kept() -> None:
    error = UnknownName("method", "x", iter(["b", "a"]))
    assert (error.known, error.kind, error.name) == (["a", "b"], "method", "x")


def test_out_of_memory_says_how_much() -> None:
    assert str(EVERY[3]) == "pi-0: the job needs 3 GB and 2 GB are free"


@pytest.mark.parametrize("cause", CAUSES)
def test_dropped_says_why_and_how_far(cause: str) -> None:
    error = Dropped(cause, 0.5)  # pyright: ignore
    assert (error.cause, error.progress, str(error)) == (cause, 0.5, cause)
    assert str(Dropped(cause, detail="pi-0 is empty")) == "pi-0 is empty"  # pyright: ignore


def test_every_error_is_tested() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    ours = {kind for kind in kinds if issubclass(kind, HetsimError)}
    assert {type(error) for error in EVERY} == ours


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_errors_come_back_whole_from_a_worker(error: HetsimError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_hint_needs_something_close() -> None:
    assert did_you_mean("fedstich", ["fedavg", "fedstitch"]) == ' Did you mean "fedstitch"?'
    assert did_you_mean("zzz", ["fedavg"]) == ""
    assert did_you_mean("fedavg", []) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 "),
        (0.0123, "0.0123 "),
        (999.0, "999 "),
        (999.9, "1 k"),
        (1000.0, "1 k"),
        (-1500.0, "-1.5 k"),
        (999_999.0, "1 M"),
        (1_234_567, "1.23 M"),
        (999.96e6, "1 G"),
        (2e12, "2 T"),
    ],
)
def test_si_prefixes(value: float, text: str) -> None:
    assert si(value) == text


@given(st.floats(min_value=1.0, max_value=9e14))
def test_si_text_means_the_number_it_shows(value: float) -> None:
    match = re.fullmatch(r"([0-9.]+) ([kMGT]?)", si(value))
    assert match, si(value)
    shown = float(match[1]) * {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[match[2]]
    assert math.isclose(shown, value, rel_tol=0.0051)
