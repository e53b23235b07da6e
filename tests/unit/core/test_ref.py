"""Recipes: equal work has equal keys, and any difference shows."""

from __future__ import annotations

import copy
import gc
import math
import os
import pickle
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
names = st.from_regex(r"[a-z]{1,6}", fullmatch=True).filter(
    lambda name: name not in ("op", "cls", "version", "nbytes", "cost")
)
arguments = st.dictionaries(names, values, max_size=4)


def exact(value: Any) -> Any:
    """An independent notion of 'the same argument': type and bits, not `==`."""
    if isinstance(value, tuple):
        return tuple, *map(exact, value)
    if isinstance(value, float):
        return float, math.copysign(1.0, value) if value == value else 0.0, repr(value)
    return type(value), value


@given(arguments)
def test_equal_recipes_have_equal_keys(args: dict[str, Any]) -> None:
    assert Ref.of("train", **args).key == Ref.of("train", **args).key


@given(arguments, st.randoms(use_true_random=False))
def test_the_order_of_arguments_does_not_matter(args: dict[str, Any], random: Any) -> None:
    shuffled = list(args.items())
    random.shuffle(shuffled)
    one, other = Ref.of("train", **args), Ref.of("train", **dict(shuffled))
    assert one.key == other.key
    assert repr(one.args) == repr(other.args)


@given(values, values)
def test_keys_are_equal_only_for_the_same_value(a: Any, b: Any) -> None:
    same = Ref.of("train", x=a).key == Ref.of("train", x=b).key
    assert same == (exact(a) == exact(b))


@given(arguments, names, values)
def test_one_argument_more_is_another_recipe(args: dict[str, Any], name: str, value: Any) -> None:
    args.pop(name, None)
    assert Ref.of("train", **args).key != Ref.of("train", **args, **{name: value}).key


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (0.1 + 0.2, 0.3),
        (1.0, math.nextafter(1.0, 2.0)),
        (0.0, -0.0),
        (1, 1.0),
        (1, True),
        (0, None),
        (1.0, (1.0).hex()),
        (math.inf, "inf"),
        (math.nan, "nan"),
        ((1, 2), (12,)),
        ((), None),
        (("a", ("b",)), ("a", "b")),
    ],
)
def test_lookalikes_differ(a: Any, b: Any) -> None:
    assert Ref.of("train", x=a).key != Ref.of("train", x=b).key


def test_op_version_and_inputs_are_part_of_the_recipe() -> None:
    a, b = Ref.of("initial", seed=0), Ref.of("initial", seed=1)
    recipes = [
        Ref.of("mean", a, b),
        Ref.of("mean", b, a),
        Ref.of("mean", a),
        Ref.of("mean", a, a),
        Ref.of("sum", a, b),
        Ref.of("mean", a, b, version=2),
        Ref.of("mean", Ref.of("mean", a, b)),
    ]
    assert len({ref.key for ref in recipes}) == len(recipes)


def test_size_and_cost_follow_from_the_recipe_and_are_not_in_its_key() -> None:
    priced = Ref.of("initial", seed=0, nbytes=40.0, cost=Cost(flops=3.0))
    assert priced.key == Ref.of("initial", seed=0).key
    assert (priced.nbytes, priced.cost.flops) == (40.0, 3.0)


def test_the_key_is_known_for_good() -> None:
    """A key names files in a store; this one must never change for version 1 of an op."""
    ref = Ref.of("train", Ref.of("initial", seed=0), lr=0.1, epochs=2, layers=("a", None), on=True)
    assert ref.key == "53b3ecebad06297ba2b94ebd4d2a8f76"


def test_the_key_does_not_depend_on_the_process() -> None:
    make = "from hetsim.core.ref import Ref; print(Ref.of('train', lr=0.1, name='é').key)"
    for salt in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", make],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": salt},
        )
        assert done.stdout.strip() == Ref.of("train", lr=0.1, name="é").key


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, {1}, np.int64(3), np.zeros(2), (1, [2])])
def test_only_plain_immutable_values_are_arguments(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be part of a recipe"):
        Ref.of("train", x=value)


def test_arguments_are_found_by_name() -> None:
    ref = Ref.of("train", lr=0.1, epochs=2)
    assert (ref.arg("lr"), ref.arg("epochs")) == (0.1, 2)
    assert ref.args == (("epochs", 2), ("lr", 0.1))
    with pytest.raises(KeyError):
        ref.arg("momentum")


def test_a_ref_is_itself_not_its_value() -> None:
    a, b = Ref.of("initial", seed=0), Ref.of("initial", seed=0)
    assert a != b
    assert len({a, b}) == 2
    assert repr(a) == f"<Ref initial {a.key[:8]}>"
    with pytest.raises(AttributeError):
        a.key = "other"  # pyright: ignore


@pytest.mark.parametrize("again", [copy.deepcopy, lambda ref: pickle.loads(pickle.dumps(ref))])
def test_a_ref_travels_to_a_worker(again: Any) -> None:
    ref = Ref.of("mean", Ref.of("initial", seed=0), weight=0.5, nbytes=8.0)
    copied = again(ref)
    assert (copied.key, copied.args, copied.nbytes) == (ref.key, ref.args, ref.nbytes)
    assert copied.inputs[0].key == ref.inputs[0].key


def test_nothing_keeps_a_forgotten_ref_alive() -> None:
    ref = Ref.of("initial", seed=0)
    watch = weakref.ref(ref)
    del ref
    gc.collect()
    assert watch() is None
