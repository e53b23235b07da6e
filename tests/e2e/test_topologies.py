"""Every topology that comes with hetsim runs through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app

TOPOLOGIES = sorted((Path(__file__).resolve().parents[2] / "topologies").glob("*.yaml"))
KNOWN = {
    "stitch_low_end": [
        "method.winners=[wide_cnn@0.25/1, plain_cnn@0.35/2, separable_cnn@0.25/3, plain_cnn@0.35/4]"
    ],
}
"""What a run that learns nothing must be told, by topology."""
SHORT = {
    "million": [
        *(f"fleet[{place}].count=400" for place in range(10)), "task.data.train=40000",
        "selection.cohort=100", "stop.rounds=3",
    ],
}  # fmt: skip
"""What makes one that is too large for a test short."""


def sets(path: Path, *more: dict[str, list[str]]) -> list[str]:
    """Options for a topology."""
    given = [text for told in (SHORT, *more) for text in told.get(path.stem, [])]
    return [word for text in given for word in ("--set", text)]


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_runs_cost_only(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    known = sets(path, KNOWN)
    done = CliRunner().invoke(
        app, ["run", str(path), "--out", str(out), "--cost-only", "--no-report", "--json", *known]
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["simulated_s"] > 0
    assert summary["energy_j"]["total"] > 0
    assert summary["accuracy"] is None
    assert (out / "summary.json").is_file()


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_check_says_what_it_is(path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(path), *sets(path)])
    assert done.exit_code == 0, done.output
    assert "is valid" in done.stdout


def test_main_job_learns(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["run", "topologies/iot_mix.yaml", "--out", str(tmp_path / "run"), "--json"]
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["accuracy"] >= 0.90
    assert summary["dropouts"]["battery"] >= 1
    assert summary["dropouts"]["memory"] == 3


def test_every_method_runs_with_its_defaults(tmp_path: Path) -> None:
    from hetsim.core.registry import METHODS

    assert len(METHODS.names()) >= 3
    for name in METHODS.names():
        done = CliRunner().invoke(
            app,
            ["run", "topologies/iot_mix.yaml", "--set", f"method.name={name}",
             "--set", "stop.rounds=2", "--out", str(tmp_path / name), "--no-report", "--json"],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["method"] == name
