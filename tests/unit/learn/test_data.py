from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pooch
import pytest
from PIL import Image

from hetsim.core.errors import SpecError, UnknownName
from hetsim.core.registry import DATA
from hetsim.learn.data import cifar10, fashion_mnist, hapt, spoken_digits, synthetic
from hetsim.learn.data.base import Dataset, canonical, load

CHANCE = np.random.Generator(np.random.PCG64(5))


# --- digits ---------------------------------------------------------------------------------------


def test_digits_come_without_a_folder_and_without_importing_scikit_learn() -> None:
    code = (
        "import sys; from hetsim.learn.data.base import load; d = load('digits', ());"
        "assert not {'sklearn', 'torch', 'pooch', 'PIL'} & set(sys.modules); print(d.hash)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).resolve().parents[3],
    )  # fmt: skip
    assert done.stdout.strip() == load("digits", ()).hash


def test_digits_are_those_of_scikit_learn_split_three_ways(digits: Dataset) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    theirs = sorted(zip(bunch.data.astype(np.uint8).tolist(), bunch.target.tolist(), strict=True))  # pyright: ignore
    parts = [digits.split(name) for name in ("train", "source", "test")]
    assert [len(y) for _, y in parts] == [1200, 300, 297]
    x = np.concatenate([x for x, _ in parts]).reshape(1797, 64)
    y = np.concatenate([y for _, y in parts])
    assert sorted(zip(x.tolist(), y.tolist(), strict=True)) == theirs
    assert x.mean() == pytest.approx(digits.mean[0], abs=1e-4)
    assert x.std() == pytest.approx(digits.std[0], abs=1e-4)
    assert min(np.bincount(digits.test_y)) > 20


def test_a_limit_takes_a_prefix(digits: Dataset) -> None:
    few = load("digits", (("test", 7), ("train", 30)))
    assert np.array_equal(few.x, digits.x[:30])
    assert np.array_equal(few.test_y, digits.test_y[:7])
    assert few.hash != digits.hash
    assert len(load("digits", (("train", 10**6),)).y) == 1200


@pytest.mark.parametrize("options", [(("train", 0),), (("test", -1),)])
def test_a_limit_below_one_is_refused(options: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(SpecError, match=f"data.{options[0][0]}"):
        load("digits", options)


def test_unknown_names_and_options_are_explained() -> None:
    with pytest.raises(UnknownName, match='Did you mean "digits"'):
        load("digit", ())
    with pytest.raises(SpecError, match=r'no option "trian"(.|\n)*Did you mean "train"'):
        load("digits", (("trian", 10),))


def test_splits_that_a_set_has_not_are_refused() -> None:
    blank = np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.int64)
    data = Dataset(
        name="tiny", classes=2, mean=(0.0,), std=(1.0,),
        x=blank[0], y=blank[1], test_x=blank[0], test_y=blank[1],
    )  # fmt: skip
    with pytest.raises(SpecError, match='no split "source"'):
        data.split("source")


# --- canonical order ------------------------------------------------------------------------------


def test_the_order_depends_on_the_samples_only() -> None:
    x = CHANCE.integers(0, 4, (500, 1, 2, 2)).astype(np.uint8)  # many samples are alike
    y, users = CHANCE.integers(0, 3, 500), CHANCE.integers(0, 4, 500)
    mixed = CHANCE.permutation(500)
    here, there = canonical(x, y, users), canonical(x[mixed], y[mixed], users[mixed])
    assert sorted(here.tolist()) == list(range(500))
    assert np.array_equal(x[here], x[mixed][there])
    assert np.array_equal(y[here], y[mixed][there])
    assert np.array_equal(users[here], users[mixed][there])
    assert not np.array_equal(here, np.arange(500))


def test_the_hash_sees_every_array_and_constant(digits: Dataset) -> None:
    from dataclasses import replace

    other = digits.test_x.copy()
    other[-1, 0, 7, 7] += 1
    hashes = {
        digits.hash,
        replace(digits, test_x=other).hash,
        replace(digits, mean=(0.0,)).hash,
        replace(digits, users=digits.y).hash,
        replace(digits, source_x=None, source_y=None).hash,
    }
    assert len(hashes) == 5
    assert replace(digits, x=digits.x.copy()).hash == digits.hash


# --- files of other sets, in small ----------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """An array in the format of MNIST, compressed."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(head + array.tobytes())


@pytest.fixture(scope="module")
def clothes() -> dict[str, bytes]:
    """The four files of a tiny Fashion-MNIST."""
    x = CHANCE.integers(0, 256, (60, 28, 28)).astype(np.uint8)
    y = (np.arange(60) % 10).astype(np.uint8)
    return {
        "train-images-idx3-ubyte.gz": idx(x[:40]),
        "train-labels-idx1-ubyte.gz": idx(y[:40]),
        "t10k-images-idx3-ubyte.gz": idx(x[40:]),
        "t10k-labels-idx1-ubyte.gz": idx(y[40:]),
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder.parent


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served on this machine, and an empty cache."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # pyright: ignore

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    monkeypatch.setattr(fashion_mnist, "_URL", address)
    monkeypatch.setattr(cifar10, "_URL", address + "cifar-10-binary.tar.gz")
    yield folder
    server.shutdown()
    server.server_close()


def sha256(files: dict[str, bytes]) -> dict[str, str]:
    return {
        name.removesuffix("-ubyte.gz"): hashlib.sha256(content).hexdigest()
        for name, content in files.items()
    }


def test_a_download_is_the_same_data_set_as_a_folder_and_is_kept(
    clothes: dict[str, bytes], web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "data" / "fashion-mnist", clothes)
    write(web, clothes)
    monkeypatch.setattr(fashion_mnist, "_SHA256", sha256(clothes))
    here, fetched = load("fashion_mnist", (), folder), load("fashion_mnist", ())
    assert here.hash == fetched.hash
    assert here.shape == (1, 28, 28)
    assert (len(here.y), len(here.test_y)) == (40, 20)
    for file in web.iterdir():
        file.unlink()
    assert load("fashion_mnist", (), tmp_path).hash == here.hash


def test_a_download_with_another_checksum_is_refused(
    clothes: dict[str, bytes], web: Path, tmp_path: Path
) -> None:
    write(web, clothes)
    with pytest.raises(SpecError, match=r"could not be fetched: (.|\n)*--data") as refusal:
        load("fashion_mnist", ())
    assert "hash" in str(refusal.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_no_network_is_an_error_with_a_remedy(web: Path) -> None:
    with pytest.raises(SpecError, match=r"fashion_mnist(.|\n)*fashion-mnist/(.|\n)*digits"):
        load("fashion_mnist", ())
    with pytest.raises(SpecError, match=r"cifar10(.|\n)*cifar-10-binary.tar.gz(.|\n)*digits"):
        load("cifar10", ())


def test_a_damaged_file_is_named(clothes: dict[str, bytes], tmp_path: Path) -> None:
    for broken in (b"no gzip", gzip.compress(b"\0\0\x08\x03short"), idx(np.zeros((3, 2, 2)))[:40]):
        files = {**clothes, "train-images-idx3-ubyte.gz": broken}
        folder = write(tmp_path / "fashion-mnist", files)
        with pytest.raises(SpecError, match=r"train-images-idx3-ubyte\.gz: damaged"):
            load("fashion_mnist", (), folder)


# --- CIFAR-10 -------------------------------------------------------------------------------------


@pytest.fixture
def photos(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Twenty-four photographs [n, 3, 32, 32] and labels; a grid of 2 x 2, a batch of 4."""
    monkeypatch.setattr(cifar10, "_GRID", 2)
    x = CHANCE.integers(0, 256, (24, 3, 32, 32)).astype(np.uint8)
    return x, (np.arange(24) % 10).astype(np.uint8)


def grid(x: np.ndarray) -> bytes:
    """Four photographs as one lossless picture."""
    cells = x.reshape(2, 2, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(64, 64, 3)
    file = io.BytesIO()
    Image.fromarray(cells).save(file, "WEBP", lossless=True)
    return file.getvalue()


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def binary(x: np.ndarray, y: np.ndarray) -> dict[str, bytes]:
    table = np.hstack([y[:, None], x.reshape(len(x), -1)])
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    return {name: part.tobytes() for name, part in zip(names, np.split(table, 6), strict=True)}


def test_grids_binary_files_and_the_archive_are_one_data_set(
    photos: tuple[np.ndarray, np.ndarray], web: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    x, y = photos
    shuffled = np.concatenate([CHANCE.permutation(20), 20 + CHANCE.permutation(4)])
    names = [*(f"train-{number}.webp" for number in range(5)), "test.webp"]
    grids = {name: grid(part) for name, part in zip(names, np.split(x, 6), strict=True)}
    grids |= {"train-labels.npy": array(y[:20]), "test-labels.npy": array(y[20:])}
    from_grids = load("cifar10", (), write(tmp_path / "a" / "cifar-10", grids))

    files = binary(x[shuffled], y[shuffled])
    from_files = load("cifar10", (), write(tmp_path / "b" / "cifar-10", files))

    packed = web / "cifar-10-binary.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(cifar10, "_MD5", f"md5:{hashlib.md5(packed.read_bytes()).hexdigest()}")
    fetched = load("cifar10", ())

    kept = write(tmp_path / "c" / "cifar-10", {packed.name: packed.read_bytes()})
    packed.unlink()
    assert from_grids.hash == from_files.hash == fetched.hash == load("cifar10", (), kept).hash
    assert from_grids.shape == (3, 32, 32)
    assert {item.tobytes() for item in from_grids.x} == {item.tobytes() for item in x[:20]}


def test_damaged_photographs_are_named(
    photos: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    files = binary(*photos)
    files["data_batch_3.bin"] = files["data_batch_3.bin"][:-1]
    with pytest.raises(SpecError, match=r"cifar-10: damaged"):
        load("cifar10", (), write(tmp_path / "cifar-10", files))
    (tmp_path / "cifar-10" / "data_batch_1.bin").unlink()
    (tmp_path / "cifar-10" / "cifar-10-binary.tar.gz").write_bytes(b"no archive")
    with pytest.raises(SpecError, match=r"cifar-10-binary\.tar\.gz: damaged"):
        load("cifar10", (), tmp_path)


# --- HAPT -----------------------------------------------------------------------------------------


def test_windows_are_cut_from_the_raw_signals_as_published(tmp_path: Path) -> None:
    """Two people; a segment gives a window every 64 samples as long as 128 fit."""
    raw = tmp_path / "raw" / "hapt" / "RawData"
    raw.mkdir(parents=True)
    counts, scale = {}, np.repeat([1 / 720, np.radians(0.0175)], 3)
    for experiment, user in ((1, 1), (2, 2)):
        counts[user] = CHANCE.integers(-3000, 3000, (600, 6))
        values = counts[user] * scale
        np.savetxt(raw / f"acc_exp{experiment:02}_user{user:02}.txt", values[:, :3])
        np.savetxt(raw / f"gyro_exp{experiment:02}_user{user:02}.txt", values[:, 3:])
    (raw / "labels.txt").write_text(
        "1 1 5 11 266\n"  # samples 10 .. 265, from 0: windows at 10, 74, 138
        "1 1 7 300 500\n"  # a transition: left out
        "1 1 3 401 527\n"  # 127 samples: too short
        "2 2 1 1 192\n"  # windows at 0, 64
    )
    data = load("hapt", (), tmp_path / "raw")
    assert data.shape == (6, 128)
    assert (data.y.tolist(), data.users.tolist()) == ([4, 4, 4], [1, 1, 1])  # pyright: ignore
    starts = {10, 74, 138}
    assert {w.tobytes() for w in data.x} == {
        counts[1][s : s + 128].T.astype(np.int16).tobytes() for s in starts
    }
    assert data.test_y.tolist() == [0, 0]  # person 2 is one of the nine

    ready = tmp_path / "ready" / "hapt"
    ready.mkdir(parents=True)
    everything = [(1, 4, s) for s in starts] + [(2, 0, s) for s in (0, 64)]
    np.savez(
        ready / "hapt-windows.npz",
        X=np.array([counts[u][s : s + 128] for u, _, s in everything], dtype=np.int16),
        y=np.array([y for _, y, _ in everything], dtype=np.uint8),
        user=np.array([u for u, _, _ in everything], dtype=np.uint8),
    )
    assert load("hapt", (), tmp_path / "ready").hash == data.hash


# --- spoken digits --------------------------------------------------------------------------------


def test_recordings_and_the_archive_are_one_data_set(tmp_path: Path) -> None:
    clips, takes, names = [], [], ("bea", "ann")
    recordings = tmp_path / "wav" / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    for digit, speaker, take in ((3, 0, 5), (3, 0, 4), (7, 1, 12), (0, 1, 0)):
        clips.append(CHANCE.integers(-9000, 9000, CHANCE.integers(100, 4000)).astype(np.int16))
        takes.append((digit, speaker, take))
        with wave.open(str(recordings / f"{digit}_{names[speaker]}_{take}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(clips[-1].tobytes())
    packed = tmp_path / "npz" / "fsdd"
    packed.mkdir(parents=True)
    digit, speaker, take = np.array(takes, dtype=np.uint8).T
    np.savez(
        packed / "fsdd.npz", audio=np.concatenate(clips), digit=digit, speaker=speaker, index=take,
        offset=np.cumsum([0, *map(len, clips)]), speaker_names=np.array(names),
    )  # fmt: skip
    data = load("spoken_digits", (), tmp_path / "wav")
    assert data.hash == load("spoken_digits", (), tmp_path / "npz").hash
    assert sorted(zip(data.y.tolist(), data.users.tolist(), strict=True)) == [(3, 1), (7, 0)]  # pyright: ignore
    assert sorted(data.test_y.tolist()) == [0, 3]


def test_a_tone_lights_the_band_of_its_pitch() -> None:
    """Ten decibels less are twenty steps less; silence is the floor."""
    seconds = np.arange(4000) / 8000
    loud = 20_000 * np.sin(2 * np.pi * 1000 * seconds)
    images = spoken_digits._spectrograms([loud, loud / np.sqrt(10), np.zeros(4000), loud[:50]])
    mel = 2595 * np.log10(1 + np.array([100, 1000, 4000]) / 700)
    band = (mel[1] - mel[0]) / (mel[2] - mel[0]) * 33 - 1
    assert abs(int(images[0, 0, :, 16].argmax()) - band) < 1
    peak = images[:, 0].max(axis=(1, 2)).astype(int)
    assert peak[0] - peak[1] in (19, 20, 21)
    assert peak[2] == 0
    assert images.shape == (4, 1, 32, 32)


@pytest.mark.parametrize(
    ("name", "remedy"), [("hapt", "UCI data set 341"), ("spoken_digits", "free-spoken-digit")]
)
def test_sets_without_an_address_say_what_to_put_where(
    name: str, remedy: str, tmp_path: Path
) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(SpecError, match=f"{name}(.|\n)*{remedy}"):
            load(name, (), folder)
    damaged = tmp_path / {"hapt": "hapt/hapt-windows.npz", "spoken_digits": "fsdd/fsdd.npz"}[name]
    damaged.parent.mkdir()
    damaged.write_bytes(b"PK no archive")
    with pytest.raises(SpecError, match="damaged"):
        load(name, (), tmp_path)


# --- the real ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "train", "test", "users"),
    [
        ("fashion_mnist", 60_000, 10_000, 0),
        ("hapt", 7_415, 2_996, 21),
        ("spoken_digits", 2_700, 300, 6),
    ],
)
def test_the_published_sets(
    name: str, train: int, test: int, users: int, data_folder: Path
) -> None:
    data = load(name, (), data_folder)
    assert (len(data.y), len(data.test_y)) == (train, test)
    assert users == (0 if data.users is None else len(np.unique(data.users)))
    axes = (0, *range(2, data.x.ndim))
    assert np.allclose(data.x.mean(axes), data.mean, rtol=1e-2, atol=0.1)
    assert np.allclose(data.x.std(axes), data.std, rtol=1e-2)


@pytest.mark.slow
def test_the_published_photographs(data_folder: Path) -> None:
    data = load("cifar10", (), data_folder)
    assert np.bincount(data.y).tolist() == [5000] * 10
    assert np.bincount(data.test_y).tolist() == [1000] * 10
    assert np.allclose(data.x.mean((0, 2, 3)), data.mean, rtol=1e-6)
    assert np.allclose(data.x.std((0, 2, 3)), data.std, rtol=1e-6)


def test_the_network_is_not_touched_where_files_are_at_hand(
    clothes: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> Path:
        raise AssertionError("fetched")

    monkeypatch.setattr(fashion_mnist, "fetch", refuse)
    assert len(load("fashion_mnist", (), write(tmp_path / "fashion-mnist", clothes)).y) == 40


def test_all_are_plug_ins() -> None:
    assert DATA.names() == [
        "cifar10", "digits", "fashion_mnist", "hapt", "spoken_digits", "synthetic",
    ]  # fmt: skip
    for module in (cifar10, fashion_mnist, hapt, spoken_digits, synthetic):
        name = module.__name__.rsplit(".", 1)[-1]
        assert DATA.load(name) is getattr(module, name)
