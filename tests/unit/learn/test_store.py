from __future__ import annotations

import logging
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.learn import store as stores
from hetsim.learn.numerics import tag
from hetsim.learn.store import MemoryStore, Store, decode, digest, encode

STATE = {
    "w": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "count": torch.tensor(7),
    "bias": torch.tensor([]),
}
SCORE = {"accuracy": 0.1 + 0.2, "loss": 1e-300, "samples": 297}
KEY, OTHER = "ab" * 16, "cd" * 16


def the_file(folder: Path) -> Path:
    [path] = folder.rglob("*.safetensors")
    return path


def test_states_tensors_and_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    Store(tmp_path).put("a" * 32, STATE)
    Store(tmp_path).put("b" * 32, STATE["w"])
    Store(tmp_path).put("c" * 32, SCORE)
    store = Store(tmp_path)
    state = store.get("a" * 32)
    assert state is not None
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)
    assert all(state[name].dtype == STATE[name].dtype for name in STATE)
    assert torch.equal(store.get("b" * 32), STATE["w"])  # pyright: ignore
    assert store.get("c" * 32) == SCORE
    assert store.get("d" * 32) is None


def test_equal_values_have_equal_bytes() -> None:
    assert encode(STATE) == encode({name: tensor.clone() for name, tensor in STATE.items()})
    assert encode(STATE) != encode({**STATE, "count": torch.tensor(8)})


def test_the_order_of_names_is_kept_and_changes_no_digest() -> None:
    other = dict(reversed(STATE.items()))
    assert list(decode(encode(STATE))) == list(STATE)
    assert list(decode(encode(other))) == list(other)
    assert digest(other) == digest(STATE)


@pytest.mark.parametrize("position", [0, 3, 9, 30, 100, -100, -1])
def test_a_damaged_blob_is_noticed_dropped_and_logged(
    position: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put(KEY, STATE)
    path = the_file(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[position] ^= 0x41
    path.write_bytes(raw)
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
    assert store.damaged == 1
    assert "computed again" in caplog.text
    assert not path.exists()
    store.put(KEY, STATE)
    assert store.get(KEY) is not None


@pytest.mark.parametrize("value", [STATE, STATE["w"], SCORE], ids=["state", "tensor", "score"])
def test_a_flipped_bit_anywhere_is_noticed_or_means_nothing(value: Any) -> None:
    blob = encode(value, KEY)
    noticed = 0
    for position in range(len(blob)):
        damaged = bytearray(blob)
        damaged[position] ^= 1 << position % 8
        try:
            assert encode(decode(bytes(damaged), KEY), KEY) == blob  # white space in the header
        except ValueError:
            noticed += 1
    assert noticed > 0.95 * len(blob)


def test_a_blob_under_the_name_of_another_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, STATE)
    store.put(OTHER, {**STATE, "count": torch.tensor(8)})
    store._path(KEY).write_bytes(store._path(OTHER).read_bytes())
    assert store.get(KEY) is None
    assert store.get(OTHER) is not None
    assert store.damaged == 1


@pytest.mark.parametrize("length", [0, 5, 8, 60, 200])
def test_a_torn_blob_is_damaged(length: int) -> None:
    with pytest.raises(ValueError, match="damaged blob"):
        decode(encode(STATE)[:length])


def test_being_killed_while_writing_leaves_no_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(source: str, target: Path) -> None:
        raise KeyboardInterrupt

    store = Store(tmp_path)
    monkeypatch.setattr(stores.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.put(KEY, STATE)
    monkeypatch.undo()
    assert store.get(KEY) is None
    assert not list(tmp_path.rglob("*.part"))


def test_leftovers_of_a_killed_writer_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, STATE)
    left = the_file(tmp_path).with_name("abcd" * 8 + ".part")
    left.write_bytes(bytes(2000))
    os.utime(left, (0, 0))
    Store(tmp_path, limit=2000).put(OTHER, STATE)
    assert not left.exists()
    assert store.get(KEY) is not None


def test_leftovers_of_the_same_key_are_written_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, STATE)
    sound = the_file(tmp_path).read_bytes()
    for left in (b"", b"x" * 10, sound[:-1], sound + b"tail"):
        path = the_file(tmp_path)
        path.with_suffix(".part").write_bytes(left)
        path.unlink()
        store.put(KEY, STATE)
        assert the_file(tmp_path).read_bytes() == sound
        assert not list(tmp_path.rglob("*.part"))


def test_files_of_somebody_else_are_never_evicted(tmp_path: Path) -> None:
    theirs = [tmp_path / "models" / name / "model.safetensors" for name in ("ab", "bert")]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(5000))
        os.utime(path, (0, 0))
    store = Store(tmp_path, limit=2000)
    for number in range(10):
        store.put(f"{number:02}" * 16, STATE)
    assert all(path.exists() for path in theirs)
    taken = sum(path.stat().st_size for path in tmp_path.glob("*/??/" + "?" * 32 + ".safetensors"))
    assert 0 < taken <= 2000


def test_the_oldest_go_when_the_folder_is_full(tmp_path: Path) -> None:
    size = len(encode({"w": torch.zeros(1000)}))
    store = Store(tmp_path, limit=10 * size)
    keys = [f"{number:02}" * 16 for number in range(14)]
    for number, key in enumerate(keys):
        store.put(key, {"w": torch.full((1000,), float(number))})
        os.utime(store._path(key), (number, number))
        if number == 8:
            assert store.get(keys[0]) is not None  # used again, so no longer the oldest
    taken = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    assert taken <= 10 * size
    assert store.get(keys[0]) is not None
    assert store.get(keys[1]) is None
    assert store.get(keys[-1]) is not None


def test_another_arithmetic_has_other_values(tmp_path: Path) -> None:
    Store(tmp_path).put(KEY, STATE)
    assert (tmp_path / tag()).is_dir()
    other = Store(tmp_path, tag="cuda-f32_another-machine")
    assert other.get(KEY) is None
    other.put(KEY, SCORE)
    assert other.get(KEY) == SCORE
    assert Store(tmp_path, tag=tag()).get(KEY) is not None


def _write_often(folder: Path) -> None:
    store = Store(folder, limit=40_000)
    for number in range(60):
        key = f"{number % 20:02}" * 16
        value = store.get(key)
        assert value is None or float(value["w"][0]) == number % 20
        store.put(key, {"w": torch.full((1000,), float(number % 20))})


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_often, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = Store(tmp_path)
    for path in tmp_path.rglob("*.safetensors"):
        assert store.get(path.stem) is not None
    assert store.damaged == 0


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(SpecError, match="--no-store"):
        Store(file)


def test_memory_holds_the_newest() -> None:
    store = MemoryStore(limit=3 * 400)
    for number in range(5):
        store.put(str(number), {"w": torch.zeros(100)})
        store.get("1")
    assert [store.get(str(number)) is not None for number in range(5)] == [
        False, True, False, True, True,
    ]  # fmt: skip
