"""Whatever happens to a store, a run never gets a wrong result; damage is noticed and made good."""

from __future__ import annotations

import errno
import logging
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import SpecError, Stuck
from hetsim.core.trace import Progress
from hetsim.learn import store as stores
from hetsim.learn.store import Store
from hetsim.spec.schema import load_topology
from hetsim.spec.world import scenario as playing
from hetsim.study.simulate import Result, Settings, resume, run
from hetsim.testing.world import TOPOLOGY

ROUNDS = 6
CHANGES = (f"stop.rounds={ROUNDS}", "stop.accuracy=0.99")


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torture") / "tiny.yaml"
    path.write_text(TOPOLOGY)
    return path


@pytest.fixture(scope="module")
def play(topology: Path) -> Callable[..., Result]:
    """Runs the topology into a folder."""

    def play(folder: Path, **settings: Any) -> Result:
        chosen = Settings(report=False, **settings)
        return run(topology, out=folder, overrides=CHANGES, settings=chosen)

    return play


@pytest.fixture(scope="module")
def whole(play: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    play(folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "host.json"}


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run without its store."""
    return {name: data for name, data in files(folder).items() if not name.startswith("store/")}


def blobs(store: Path) -> list[Path]:
    return sorted(store.rglob("*.safetensors"))


def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "store", tmp_path / "store"))


# --- damage ---------------------------------------------------------------------------------------


def flip(paths: list[Path], chance: random.Random) -> None:
    for path in paths:
        raw = bytearray(path.read_bytes())
        raw[chance.randrange(8, len(raw))] ^= 1 << chance.randrange(8)
        path.write_bytes(raw)


def cut(paths: list[Path], chance: random.Random) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def empty(paths: list[Path], chance: random.Random) -> None:
    """What a power cut leaves of a file that was renamed but not yet on the disk."""
    for path in paths:
        path.write_bytes(b"")


def zeros(paths: list[Path], chance: random.Random) -> None:
    for path in paths:
        path.write_bytes(bytes(path.stat().st_size))


def swap(paths: list[Path], chance: random.Random) -> None:
    """Sound blobs, each under the name of another."""
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, empty, zeros, swap])
def test_every_damaged_blob_is_noticed_and_computed_again(
    damage: Callable[[list[Path], random.Random], None], play: Callable[..., Result],
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    store = copied(whole, tmp_path)
    damage(blobs(store), random.Random(1))
    with caplog.at_level(logging.WARNING):
        result = play(tmp_path / "run", store=store)
    assert results(tmp_path / "run") == results(whole)
    assert len(caplog.records) == len(blobs(whole / "store"))
    assert all("computed again" in record.message for record in caplog.records)
    assert result.host["refs"]["from_store"] == {}
    assert [path.read_bytes() for path in blobs(store)] == [
        path.read_bytes() for path in blobs(whole / "store")
    ]


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bits_never_give_a_wrong_result(
    seed: int, play: Callable[..., Result], whole: Path, tmp_path: Path
) -> None:
    store, chance = copied(whole, tmp_path), random.Random(seed)
    flip(chance.sample(blobs(store), 4), chance)
    play(tmp_path / "run", store=store)
    assert results(tmp_path / "run") == results(whole)


def test_what_a_killed_writer_left_is_written_over(
    play: Callable[..., Result], whole: Path, tmp_path: Path
) -> None:
    store = copied(whole, tmp_path)
    for number, path in enumerate(blobs(store)):
        path.with_suffix(".part").write_bytes(path.read_bytes()[: 100 * number] + bytes(number))
        path.unlink()
    play(tmp_path / "run", store=store)
    assert files(store) == files(whole / "store")
    assert results(tmp_path / "run") == results(whole)


# --- what happens meanwhile -----------------------------------------------------------------------


def at_round(number: int, act: Callable[[], object]) -> Callable[[Progress], None]:
    todo = [act]

    def progress(state: Progress) -> None:
        if state.round == number and todo:
            todo.pop()()

    return progress


def test_a_store_that_is_deleted_in_mid_run_begins_anew(
    play: Callable[..., Result], whole: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    progress = at_round(4, partial(shutil.rmtree, store))
    play(tmp_path / "run", store=store, progress=progress)
    assert results(tmp_path / "run") == results(whole)
    assert 0 < len(blobs(store)) < len(blobs(whole / "store"))


def test_a_run_folder_that_is_deleted_in_mid_run_is_not_made_anew(
    play: Callable[..., Result], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    progress = at_round(3, partial(shutil.rmtree, folder))
    with pytest.raises(Stuck, match=r"journal\.jsonl: No such file"):
        play(folder, store=tmp_path / "store", progress=progress)
    assert not folder.exists()


def test_a_store_too_small_for_the_run_evicts_and_stays_small(
    play: Callable[..., Result], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(path.stat().st_size for path in blobs(whole / "store"))
    monkeypatch.setattr(playing, "Store", partial(Store, limit=size / 3))
    play(tmp_path / "run")
    assert results(tmp_path / "run") == results(whole)
    left = blobs(tmp_path / "run" / "store")
    assert left
    assert sum(path.stat().st_size for path in left) <= size / 3


def test_blobs_that_another_process_evicts_are_computed_again(
    play: Callable[..., Result], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, chance = copied(whole, tmp_path), random.Random(2)
    read = Path.read_bytes

    def evicted(path: Path) -> bytes:
        if path.is_relative_to(store) and chance.random() < 0.5:
            path.unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(stores.Path, "read_bytes", evicted)
    result = play(tmp_path / "run", store=store)
    monkeypatch.undo()
    refs = result.host["refs"]
    assert refs["executed"]
    assert refs["from_store"]
    assert results(tmp_path / "run") == results(whole)


def full(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A disk that takes so many files more."""
    taken = count()

    def limited(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            if next(taken) >= after:
                raise OSError(errno.ENOSPC, "No space left on device", str(arguments[0]))
            return real(*arguments, **options)

        return act

    for name in ("replace", "fsync"):
        monkeypatch.setattr(stores.os, name, limited(getattr(stores.os, name)))


def test_a_disk_that_is_full_at_any_moment_costs_nothing_but_time(
    play: Callable[..., Result], whole: Path, tmp_path: Path
) -> None:
    stops: list[Stuck | SpecError] = []
    for after in count(0, 5):
        folder = tmp_path / str(after)
        with pytest.MonkeyPatch.context() as patch:
            full(patch, after)
            try:
                play(folder)
            except (Stuck, SpecError) as error:
                stops.append(error)
            else:
                break
        if isinstance(stops[-1], SpecError):
            play(folder)
        else:
            resume(folder, settings=Settings(report=False))
        assert files(folder) == files(whole)
    assert all("No space left on device" in str(stop) for stop in stops)
    before = [stop for stop in stops if isinstance(stop, SpecError)]
    assert before == stops[: len(before)] != []
    assert len(stops) - len(before) >= 5


def test_a_store_that_may_only_be_read_still_saves_the_work(
    play: Callable[..., Result], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copied(whole, tmp_path)
    cut(blobs(store)[:2], random.Random(3))

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))

    for name in ("utime", "replace"):
        monkeypatch.setattr(stores.os, name, refuse)
    monkeypatch.setattr(stores.Path, "unlink", refuse)
    before, held = files(store), Store(store)
    got = [held.get(path.stem) is not None for path in blobs(store)]
    assert got.count(False) == held.damaged == 2
    held.put(blobs(store)[0].stem, {"accuracy": 0.5})
    monkeypatch.undo()
    assert files(store) == before


def test_a_store_that_cannot_be_written_is_refused_at_once(
    play: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SpecError, match="--store"):
        play(tmp_path / "run", store=tmp_path / "file")
    assert not (tmp_path / "run").exists()


# --- two at once ----------------------------------------------------------------------------------


def test_runs_on_one_store_one_of_them_killed(
    whole: Path, tmp_path: Path, topology: Path, repo: Path, kills: int
) -> None:
    chance, changes = random.Random(4), [word for change in CHANGES for word in ("--set", change)]
    most = len(blobs(whole / "store"))

    def start(folder: Path, store: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "hetsim", "run", str(topology), "-q", "--no-report",
             "--out", str(folder), "--store", str(store), *changes],
            cwd=repo, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    for number in range(kills // 4 or 1):
        home = tmp_path / str(number)
        store, folder = home / "store", home / "killed"
        killed, other = start(folder, store), start(home / "other", store)
        enough = chance.randrange(1, most)
        while killed.poll() is None and len(blobs(store)) < enough:
            time.sleep(0.0005)
        killed.kill()
        killed.wait()
        assert other.wait(100) == 0
        assert results(home / "other") == results(whole)
        settings = Settings(report=False, store=store)
        resume(folder, topology=load_topology(topology, overrides=CHANGES), settings=settings)
        assert results(folder) == results(whole)
        assert files(store) == files(whole / "store")
