"""The main promise: a run is a function of its spec and seed, and its books balance."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hetsim.core.errors import SpecError
from hetsim.core.quantities import WATT_HOUR
from hetsim.core.trace import BASE_KINDS
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study.simulate import Result, Settings, resume, run

SMALL = ("stop.rounds=3", "selection.cohort=6", "report.evaluate_every=1")
MIX = "topologies/iot_mix.yaml"


def small(out: Path, *, executor: str = "inline", workers: int | None = None) -> Result:
    settings = Settings(causality=True, executor=executor, workers=workers)
    return run(MIX, out=out, overrides=SMALL, settings=settings)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return small(tmp_path_factory.mktemp("run") / "first")


def same_folders(a: Path, b: Path) -> list[str]:
    """Files that differ, `host.json` apart."""
    names = {str(p.relative_to(root)) for root in (a, b) for p in root.rglob("*") if p.is_file()}
    names.discard("host.json")
    return [
        name
        for name in sorted(names)
        if not ((a / name).is_file() and (b / name).is_file())
        or not filecmp.cmp(a / name, b / name, shallow=False)
    ]


def test_run_twice_is_byte_identical(first: Result, tmp_path: Path) -> None:
    second = small(tmp_path / "second")
    assert first.host["refs"]["executed"]["train"] > 0
    assert second.host["refs"]["executed"]["train"] > 0
    assert second.summary["trace_hash"] == first.summary["trace_hash"]
    assert second.summary["model_hash"] == first.summary["model_hash"]
    assert first.folder is not None
    assert second.folder is not None
    assert same_folders(first.folder, second.folder) == []


def test_pool_equals_inline_byte_for_byte(first: Result, tmp_path: Path) -> None:
    pooled = small(tmp_path / "pool", executor="pool", workers=2)
    assert pooled.host["refs"]["executed"] == first.host["refs"]["executed"]
    assert first.folder is not None
    assert pooled.folder is not None
    assert same_folders(first.folder, pooled.folder) == []


@pytest.mark.slow
def test_threads_and_hash_seed_change_nothing(first: Result, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3"}
    command = [sys.executable, "-m", "hetsim", "run", MIX, "--out", str(tmp_path / "other"), "-q"]
    for change in SMALL:
        command += ["--set", change]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert first.folder is not None
    assert same_folders(first.folder, tmp_path / "other") == []


def test_another_seed_is_another_run(first: Result, tmp_path: Path) -> None:
    other = run(MIX, out=tmp_path / "run", overrides=SMALL, seed=1)
    assert other.summary["spec_hash"] == first.summary["spec_hash"]
    assert other.summary["trace_hash"] != first.summary["trace_hash"]


def test_every_file_is_there(first: Result) -> None:
    assert first.folder is not None
    there = {path.name for path in first.folder.iterdir()}
    assert there >= {
        "summary.json", "rounds.parquet", "devices.parquet", "spans.parquet", "trace.json.gz",
        "report.html", "spec.yaml", "provenance.json", "host.json",
    }  # fmt: skip
    assert json.loads((first.folder / "summary.json").read_text()) == first.summary


def test_books_balance(first: Result) -> None:
    assert first.folder is not None
    summary = first.summary
    total = summary["energy_j"]["total"]
    kinds = sum(value for kind, value in summary["energy_j"].items() if kind != "total")
    assert kinds == pytest.approx(total, rel=1e-9)
    assert sum(summary["energy_by_role_j"].values()) == pytest.approx(total, rel=1e-9)
    devices = pq.read_table(first.folder / "devices.parquet").to_pylist()
    assert sum(row["energy_j"] for row in devices) == pytest.approx(total, rel=1e-9)
    rounds = pq.read_table(first.folder / "rounds.parquet").to_pylist()
    assert sum(row["energy_j"] for row in rounds) == pytest.approx(total, rel=1e-9)
    spans = pq.read_table(first.folder / "spans.parquet").to_pylist()
    above = sum(
        value for kind, value in summary["energy_j"].items()
        if kind not in (*BASE_KINDS, "total", "loss", "link", "radio_tail")
    )  # fmt: skip
    on_links = summary["energy_j"].get("link", 0.0)
    assert sum(row["energy_j"] for row in spans) == pytest.approx(above + on_links, rel=1e-9)


def test_a_battery_falls_by_what_the_ledger_says(first: Result) -> None:
    fleet = {member.name: member for member in resolve(load_topology(MIX)).members()}
    checked = 0
    for row in first.trace.devices:
        member = fleet.get(row["device"])
        if member is None or member.pack is None or member.group.battery is None:
            assert row["battery_end_wh"] is None
            continue
        start = member.pack.charged(member.group.battery.charge).charge
        fallen = start - row["battery_end_wh"] * WATT_HOUR
        assert fallen == pytest.approx(row["energy_j"], rel=1e-9)
        checked += 1
    assert checked >= 8


def test_microcontrollers_appear_and_say_why_not(first: Result) -> None:
    boards = [row for row in first.trace.devices if row["profile"].startswith("stm32")]
    assert len(boards) == 3
    for row in boards:
        assert "memory" in row["excluded"]
        assert "are available" in row["excluded"]
        assert row["rounds_done"] == 0
        assert row["energy_j"] > 0


def test_cost_only_has_the_same_time_and_joules(first: Result, tmp_path: Path) -> None:
    cheap = run(MIX, out=tmp_path / "cost", overrides=(*SMALL, "cost_only=true"))
    assert cheap.summary["trace_hash"] == first.summary["trace_hash"]
    assert cheap.summary["energy_j"] == first.summary["energy_j"]
    assert cheap.summary["accuracy"] is None
    assert cheap.host["refs"]["executed"] == {}


class TestFolders:
    def test_same_spec_replaces_a_complete_run(self, tmp_path: Path) -> None:
        overrides = (*SMALL, "stop.rounds=1", "cost_only=true")
        a = run(MIX, out=tmp_path / "run", overrides=overrides)
        (tmp_path / "run" / "stale").write_text("old")
        b = run(MIX, out=tmp_path / "run", overrides=overrides)
        assert a.summary == b.summary
        assert not (tmp_path / "run" / "stale").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_another_spec_is_refused_unless_forced(self, tmp_path: Path) -> None:
        overrides = (*SMALL, "stop.rounds=1", "cost_only=true")
        run(MIX, out=tmp_path / "run", overrides=overrides)
        with pytest.raises(SpecError, match="another spec"):
            run(MIX, out=tmp_path / "run", overrides=(*overrides, "method.lr=0.2"))
        run(MIX, out=tmp_path / "run", overrides=(*overrides, "method.lr=0.2"), force=True)

    def test_foreign_folder_is_refused_and_kept(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(SpecError, match="no run of hetsim"):
            run(MIX, out=tmp_path, overrides=SMALL)
        assert (tmp_path / "thesis.tex").read_text() == "precious"

    def test_unfinished_run_names_the_line_that_resumes(self, tmp_path: Path) -> None:
        with pytest.raises(_Stop):
            run(MIX, out=tmp_path / "run", overrides=SMALL, settings=Settings(progress=_stop_at(2)))
        assert not (tmp_path / "run" / "summary.json").exists()
        with pytest.raises(SpecError, match=r"--resume .*run"):
            run(MIX, out=tmp_path / "run", overrides=SMALL)


class TestResume:
    def test_goes_on_to_the_same_bytes(self, first: Result, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        with pytest.raises(_Stop):
            run(MIX, out=folder, overrides=SMALL, settings=Settings(progress=_stop_at(3)))
        result = resume(folder)
        assert sum(result.host["refs"]["from_store"].values()) > 0
        assert result.host["refs"]["executed"]["train"] < first.host["refs"]["executed"]["train"]
        assert first.folder is not None
        assert same_folders(first.folder, folder) == []

    def test_complete_run_is_left_alone(self, first: Result) -> None:
        assert first.folder is not None
        before = {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}
        assert resume(first.folder).summary == first.summary
        assert {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before

    def test_without_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="no run to resume"):
            resume(tmp_path)

    def test_with_another_topology(self, first: Result) -> None:
        assert first.folder is not None
        with pytest.raises(SpecError, match="another spec"):
            resume(first.folder, topology="topologies/pi_lab.yaml")


def test_accuracy_stop_is_paid_for_by_the_server(tmp_path: Path) -> None:
    result = run(
        "topologies/pi_lab.yaml", out=tmp_path / "run",
        overrides=(
            "task.data={name: digits}", "task.model=logistic",
            "method={name: fedavg, epochs: 1, batch: 50, lr: 0.1, momentum: 0.9}",
            "stop.rounds=12", "stop.accuracy=0.7",
        ),
        settings=Settings(causality=True),
    )  # fmt: skip
    assert result.summary["accuracy"] >= 0.7
    assert result.summary["rounds"] < 12
    paid = [span for span in result.trace.spans if span.kind == "evaluate"]
    assert len(paid) == result.summary["rounds"]
    assert all(span.actor == "server" and span.energy > 0 for span in paid)


def test_everyone_gone_ends_the_run_and_says_so(tmp_path: Path) -> None:
    result = run(
        "topologies/phones_lte.yaml", out=tmp_path / "run",
        overrides=(
            "cost_only=true", "stop.rounds=100000", "stop.time=40 h",
            "fleet[0].availability=always", "fleet[0].battery={charge: 2.5 %}",
            "fleet[1].battery={charge: 2.5 %}",
        ),
    )  # fmt: skip
    assert result.summary["dropouts"]["battery"] > 0
    assert any("no client is left" in note.text for note in result.trace.notes)
    empty = {note.actor for note in result.trace.notes if note.cause == "battery"}
    devices = [row["device"] for row in result.trace.devices if row["role"] == "device"]
    assert empty == set(devices)


class _Stop(Exception):
    """A crash."""


def _stop_at(rounds: int):
    def progress(state) -> None:
        if state.round == rounds:
            raise _Stop

    return progress
