"""Sweeps: killed at any instant they go on, play no point twice and end with the same table."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow.parquet as pq
import pytest

from hetsim.core.errors import HetsimError, Interrupted, SpecError
from hetsim.study import campaign
from hetsim.study.errand import Means
from hetsim.study.what_if import PAGE, POINTS, Asked, resume, sweep
from hetsim.testing.world import TOPOLOGY

CHEAP = ("cost_only=true", "stop.rounds=2")
KILLS = 3


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return path


def asked(topology: Path, *grid: str, **more: Any) -> Asked:
    overrides = more.pop("overrides", CHEAP)
    return Asked(topology=str(topology), grid=grid, overrides=overrides, **more)


def table(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / POINTS).to_pylist()


def kept(folder: Path) -> dict[str, tuple[int, int]]:
    """Points that are kept, and what would change if one were played again."""
    states = {path.name: path.stat() for path in (folder / "runs").glob("*.json")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_that_is_killed_goes_on(topology: Path, tmp_path: Path, jobs: int) -> None:
    grid = ["fleet[0].count=1,2,3,4,5", "selection.cohort=1,2", "seed=0,1,2,3,4,5,6,7,8,9"]
    folder = tmp_path / "killed"
    options = [part for text in grid for part in ("--grid", text)]
    options += [part for text in CHEAP for part in ("--set", text)]
    command = [sys.executable, "-m", "hetsim", "sweep", str(topology), *options]
    command += ["--out", str(folder), "--jobs", str(jobs), "--json"]
    played, after = 0, dict[str, tuple[int, int]]()
    for kill in range(KILLS):
        before = after
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while len(kept(folder)) < 24 * (kill + 1):
            assert process.poll() is None, process.communicate()
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        after = settled(folder)
        assert before.items() <= after.items(), "a point was played again"
        assert len(before) < len(after) < 100
        assert not (folder / POINTS).exists()
        played += len(after) - len(before)
    last = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(last.stdout)
    assert told["points"] == 100
    assert played + told["played"] == 100
    assert after.items() <= kept(folder).items()
    whole = sweep(asked(topology, *grid), out=tmp_path / "whole")
    assert whole.played == 100
    for name in (POINTS, PAGE):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def settled(folder: Path) -> dict[str, tuple[int, int]]:
    """What is kept once workers have seen that nobody waits for them."""
    while True:
        before = kept(folder)
        time.sleep(0.5)
        if kept(folder) == before:
            return before


def test_a_row_is_what_a_run_of_its_own_gives(topology: Path, tmp_path: Path) -> None:
    from hetsim.study.simulate import run

    swept = sweep(
        asked(topology, "method.name=fedavg,fedprox", "seed=0,1", overrides=("stop.rounds=1",)),
        out=tmp_path / "sweep",
    )
    assert [(row["method.name"], row["seed"]) for row in table(swept.folder)] == [
        ("fedavg", 0), ("fedavg", 1), ("fedprox", 0), ("fedprox", 1),
    ]  # fmt: skip
    row = table(swept.folder)[3]
    alone = run(
        topology, out=tmp_path / "alone", seed=1,
        overrides=("stop.rounds=1", "method.name=fedprox"),
    ).summary  # fmt: skip
    names = ("simulated_s", "accuracy", "best_accuracy", "loss", "active_j", "participant_j",
             "bytes_up", "trace_hash", "model_hash", "spec_hash")  # fmt: skip
    for name in names:
        assert row[name] == alone[name], name
    assert row["energy_j"] == alone["energy_j"]["total"]
    assert row["device_j"] == alone["energy_by_role_j"]["device"]
    classes = [value for name, value in row.items() if name.startswith("class_")]
    assert sum(value for value in classes if value) == pytest.approx(row["device_j"], rel=1e-9)
    assert row["failed"] is None


def test_options_that_a_method_lacks_are_dropped_and_told(topology: Path, tmp_path: Path) -> None:
    text = topology.read_text().replace("fedavg,", "fedprox, mu: 0.1,")
    topology.write_text(text)
    notes: list[str] = []
    grid = asked(topology, "method.name=fedprox,fedavg", "seed=0,1")
    sweep(grid, out=tmp_path / "out", means=Means(note=notes.append))
    assert notes == ["method.mu dropped: fedavg has no such option"]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("method.lr=0.1,-1", r"--grid method.lr=-1(.|\n)*point 1 \(method.lr=-1\)"),
        ("method.lrr=1,2", r'--grid method.lrr=1(.|\n)*Did you mean "lr"(.|\n)*point 0'),
    ],
)
def test_a_wrong_point_is_refused_before_anything(
    topology: Path, tmp_path: Path, grid: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        sweep(asked(topology, grid), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_point_that_cannot_go_on_says_why(topology: Path, tmp_path: Path) -> None:
    small = "[{profile: stm32g0b1, link: {to: switch, rate: 1 Mbit/s}}]"
    large = "[{profile: raspberry_pi_4b, link: {to: switch, rate: 1 Mbit/s}}]"
    overrides = (*CHEAP, "task.model={name: mlp, hidden: [2000]}")
    one = asked(topology, f"fleet={small},{large}", overrides=overrides)
    swept = sweep(one, out=tmp_path / "out")
    hopeless, other = table(swept.folder)
    assert "no device can take part" in hopeless["failed"]
    assert hopeless["energy_j"] is None
    assert other["failed"] is None
    assert other["energy_j"] > 0.0
    assert swept.failed == 1
    assert sweep(one, out=tmp_path / "out").played == 0
    assert "no device can take part" in (swept.folder / PAGE).read_text()


def test_an_interrupted_sweep_says_how_to_go_on(
    topology: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    simulate, count = campaign.simulate, 0

    def tired(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return simulate(*arguments)

    monkeypatch.setattr(campaign, "simulate", tired)
    with pytest.raises(Interrupted, match=rf"2 of 4 runs.*sweep --resume {re.escape(str(folder))}"):
        sweep(asked(topology, "seed=0,1,2,3"), out=folder)
    monkeypatch.chdir(tmp_path)
    assert resume(folder).played == 2
    assert count == 5


def test_a_folder_is_one_sweeps_own(topology: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    sweep(asked(topology, "seed=0,1"), out=folder)
    with pytest.raises(SpecError, match="holds another sweep"):
        sweep(asked(topology, "seed=0,2"), out=folder)
    with pytest.raises(SpecError, match="no sweep of hetsim"):
        sweep(asked(topology, "seed=0,1"), out=tmp_path)
    with pytest.raises(SpecError, match="no sweep to resume"):
        resume(tmp_path)
    topology.write_text(topology.read_text().replace("40 Mbit/s", "41 Mbit/s"))
    with pytest.raises(HetsimError, match="changed since the sweep was begun"):
        resume(folder)


def test_the_page_holds_what_was_found(topology: Path, tmp_path: Path) -> None:
    one = asked(
        topology, "seed=0,1,2", "fleet[0].count=2,3",
        sample=("fleet[0].link.rate=5..50 Mbit/s",), points=2, sweep_seed=4,
    )  # fmt: skip
    swept = sweep(one, out=tmp_path / "out")
    page = (swept.folder / PAGE).read_text()
    assert len(page) < 6e6
    for part in ("lines", "map", "seeds", "points", "asked"):
        assert f'<section id="{part}">' in page
    found = re.search(r'id="page-data">(.*?)</script>', page)
    assert found is not None
    data = json.loads(found[1])["sweep"]
    by_key = {each["key"]: each for each in data["axes"]}
    assert list(by_key) == ["fleet[0].link.rate", "seed", "fleet[0].count"]
    assert by_key["fleet[0].link.rate"]["unit"] == "Mbit/s"
    assert by_key["fleet[0].count"]["values"] == [2, 3] * 6
    energy = next(each for each in data["results"] if each["key"] == "energy_j")
    rows = table(swept.folder)
    scale = rows[0]["energy_j"] / energy["values"][0]
    for row, value in zip(rows, energy["values"], strict=True):
        assert row["energy_j"] == pytest.approx(value * scale, rel=1e-5)
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.https?:", page)


def murder(begun: Path, stop: Event, killed: list[int]) -> None:
    """Kill one worker of a cluster of this process while it plays, once points are kept."""
    while not stop.wait(0.002):
        if begun.is_dir() and len(list(begun.glob("*.json"))) >= 4 and not killed:
            for pid in playing():
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
                return


def playing() -> list[int]:
    """Busy Ray workers that descend from this process."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            raylet = parent(int(folder.name))
            if title.startswith(b"ray::call") and parent(raylet) == os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_cluster_gives_the_same_table_even_if_a_worker_is_killed(
    topology: Path, tmp_path: Path
) -> None:
    grid = ("fleet[0].count=1,2,3,4", "seed=0,1,2,3,4,5")
    one = asked(topology, *grid, overrides=("stop.rounds=2",))
    stop, killed = Event(), list[int]()
    thread = Thread(target=murder, args=(tmp_path / "ray" / "runs", stop, killed))
    thread.start()
    try:
        swept = sweep(one, out=tmp_path / "ray", means=Means(jobs=2, ray=True))
    finally:
        stop.set()
        thread.join()
    assert killed
    assert swept.played == 24
    alone = sweep(one, out=tmp_path / "alone")
    for name in (POINTS, PAGE):
        assert (swept.folder / name).read_bytes() == (alone.folder / name).read_bytes()


RAY = pytest.param(
    ("--executor", "ray", "--jobs", "2"), id="ray",
    marks=pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("players", [("--jobs", "1"), ("--jobs", "2"), RAY], ids=" ".join)
def test_ctrl_c_prints_the_line_to_go_on(
    topology: Path, tmp_path: Path, players: tuple[str, ...]
) -> None:
    folder = tmp_path / "stopped"
    numbers = ",".join(map(str, range(200)))
    command = [sys.executable, "-m", "hetsim", "sweep", str(topology), "--grid", f"seed={numbers}"]
    command += ["--cost-only", "--out", str(folder), *players]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(kept(folder)) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of its group hear it
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert f"of 200 runs are kept. Go on with: python -m hetsim sweep --resume {folder}" in err
    assert "Traceback" not in err
    missing = 200 - len(settled(folder))
    assert 0 < missing < 200
    assert resume(folder).played == missing
