from __future__ import annotations

import contextlib
import hashlib

import pytest
import torch

from hetsim.learn import numerics
from hetsim.learn.numerics import chance, model_hash, single_thread, tag


def test_one_thread_whatever_was_set_before() -> None:
    torch.set_num_threads(2)
    single_thread()
    assert torch.get_num_threads() == 1


def test_the_tag_names_version_kernels_and_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tag()
    assert plain.startswith(f"cpu-f32-stacked_torch-{torch.__version__}_")
    assert "onednn-" in plain
    assert not set(plain) & set("/ :")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    limited = numerics.tag.__wrapped__()
    assert limited == plain + "+max-sse41"


def test_a_model_hash_is_sha_256_of_names_shapes_and_bytes() -> None:
    state = {"b": torch.tensor([1.5, -2.0]), "a": torch.tensor(3)}
    by_hand = hashlib.sha256(
        b"a()" + (3).to_bytes(8, "little") + b"b(2,)" + bytes.fromhex("0000c03f000000c0")
    )
    assert model_hash(state) == by_hand.hexdigest()
    turned = {"a": state["a"], "b": state["b"].reshape(1, 2)}
    assert model_hash(turned) != model_hash(state)


def test_a_model_hash_does_not_see_the_layout_in_memory() -> None:
    weight = torch.arange(24.0).reshape(1, 2, 3, 4)
    last = weight.contiguous(memory_format=torch.channels_last)
    assert model_hash({"w": weight}) == model_hash({"w": last})


def test_chance_is_private() -> None:
    before = torch.get_rng_state()
    with chance(3):
        first = torch.rand(4)
    with contextlib.suppress(ZeroDivisionError), chance(3):
        assert torch.equal(torch.rand(4), first)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)
