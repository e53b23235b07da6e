"""The run folder: whole or absent, equal for equal runs, and read back without loss."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from hetsim.core.errors import HetsimError
from hetsim.core.trace import Trace
from hetsim.report import files
from tests.unit.report.synthetic import build

WRITTEN = {
    "counters.parquet", "critical.parquet", "devices.parquet", "notes.parquet",
    "participations.parquet", "provenance.json", "report.html", "rounds.parquet", "spans.parquet",
    "summary.json", "trace.json.gz",
}  # fmt: skip
COLUMNS = {
    "rounds": "round t0_s t1_s model_version accuracy loss participants dropped energy_j bytes_up "
    "bytes_down critical_device critical_kind critical_compute_s critical_uplink_s "
    "critical_downlink_s critical_queueing_s critical_slowed_s critical_server_s "
    "critical_gateway_s critical_waiting_s critical_charge_s",
    "devices": "device role profile power_scope rounds_done dropped_battery dropped_memory "
    "dropped_deadline dropped_churn dropped_surplus energy_j active_j participant_j compute_j "
    "memory_j radio_j link_j idle_j radio_idle_j loss_j busy_s battery_end_wh charged_j supplied_j "
    "temperature_max_c throttled_s peak_memory_b bytes_up bytes_down excluded device_class samples "
    "asked updates_used rarity expected_accuracy",
    "spans": "t0_s t1_s actor kind energy_j size_b key serial peer round outcome progress after "
    "alone_s latency_s held_s",
    "participations": "device hub round t0_s t1_s outcome used waste staleness share energy_j last",
    "critical": "round t0_s t1_s actor peer kind serial",
}


def test_the_made_up_run_has_balanced_books(trace: Trace) -> None:
    energy = dict(trace.summary["energy_j"])
    total = energy.pop("total")
    assert math.isclose(sum(energy.values()), total, rel_tol=1e-9)
    assert math.isclose(sum(trace.summary["energy_by_role_j"].values()), total, rel_tol=1e-9)
    assert math.isclose(sum(row["energy_j"] for row in trace.devices), total, rel_tol=1e-9)
    assert math.isclose(sum(row["energy_j"] for row in trace.rounds), total, rel_tol=1e-9)


def test_reading_gives_back_what_was_written(trace: Trace, folder: Path) -> None:
    restored = files.read(folder)
    assert restored == trace
    assert restored.hash() == trace.hash()


def test_equal_traces_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.write(build(), tmp_path / name)
    assert {path.name for path in (tmp_path / "a").iterdir()} == WRITTEN
    for name in WRITTEN:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_the_documented_ones(folder: Path, name: str) -> None:
    assert pq.read_schema(folder / f"{name}.parquet").names == COLUMNS[name].split()


def test_an_empty_run_keeps_its_columns(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("{}")
    trace = Trace(summary={"name": "none"})
    files.write(trace, tmp_path, page=False)
    assert pq.read_schema(tmp_path / "spans.parquet").names == COLUMNS["spans"].split()
    assert files.read(tmp_path) == trace


def test_files_appear_by_rename_and_the_summary_last(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[str] = []
    replace = Path.replace

    def spy(source: Path, target: Path) -> Path:
        assert source.parent == target.parent
        placed.append(target.name)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", spy)
    files.write(trace, tmp_path)
    assert set(placed) == WRITTEN
    assert placed[-1] == "summary.json"
    assert {path.name for path in tmp_path.iterdir()} == WRITTEN


def test_a_failure_leaves_neither_summary_nor_scraps(trace: Trace, tmp_path: Path) -> None:
    files.write(trace, tmp_path)
    trace.provenance["oops"] = object()
    with pytest.raises(TypeError):
        files.write(trace, tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert "summary.json" not in left
    assert not [name for name in left if name.endswith(".part")]


def test_a_page_of_an_earlier_run_does_not_outlive_it(trace: Trace, tmp_path: Path) -> None:
    files.write(trace, tmp_path)
    files.write(trace, tmp_path, page=False)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("table", ["rounds", "devices"])
@pytest.mark.parametrize(
    ("change", "named"),
    [(lambda row: row.pop("energy_j"), "energy_j"), (lambda row: row.update(colour=1), "colour")],
)
def test_a_row_with_other_columns_is_refused(
    trace: Trace,
    tmp_path: Path,
    table: str,
    change: Callable[[dict[str, Any]], Any],
    named: str,
) -> None:
    change(getattr(trace, table)[1])
    with pytest.raises(HetsimError, match=rf"{table}\.parquet: row 1 .*{named}"):
        files.write(trace, tmp_path)


def test_a_diverged_loss_is_null_in_json_and_kept_in_parquet(tmp_path: Path) -> None:
    trace = build()
    trace.summary["loss"] = trace.rounds[-1]["loss"] = math.nan
    files.write(trace, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["loss"] is None
    assert math.isnan(pq.read_table(tmp_path / "rounds.parquet")["loss"].to_pylist()[-1])
    assert "The last loss is not a number" in (tmp_path / "report.html").read_text()


def test_an_unfinished_folder_says_how_to_finish(folder: Path) -> None:
    (folder / "summary.json").unlink()
    with pytest.raises(HetsimError, match=r"--resume"):
        files.read(folder)


@pytest.mark.parametrize("name", ["spans.parquet", "devices.parquet", "provenance.json"])
def test_a_damaged_folder_names_the_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{not a file of this kind")
    with pytest.raises(HetsimError, match=str(folder)):
        files.read(folder)


def test_another_version_of_a_table_is_refused(folder: Path) -> None:
    (folder / "rounds.parquet").write_bytes((folder / "spans.parquet").read_bytes())
    with pytest.raises(HetsimError, match="columns are not those"):
        files.read(folder)


def test_json_is_strict_and_readable(trace: Trace, folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for name in ("summary.json", "provenance.json"):
        json.loads((folder / name).read_text(), parse_constant=refuse)
    packed = (folder / "trace.json.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0", "the time of packing"
    json.loads(gzip.decompress(packed), parse_constant=refuse)
    assert yaml.safe_load((folder / "spec.yaml").read_text()) == trace.spec


def test_reports_need_neither_torch_nor_simpy() -> None:
    code = (
        "import sys; from hetsim.report import files, page, picture; "
        "print(sorted({'torch', 'simpy', 'plotly', 'matplotlib', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
