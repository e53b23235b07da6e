"""Nothing precious is deleted, nothing computed is lost, and nobody is told something untrue."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.core.errors import HetsimError, Interrupted, SpecError, Stuck
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study import simulate as study
from hetsim.study.explain import explain_topology
from hetsim.study.simulate import Settings, resume, run

DIGITS = (
    "task.data={name: digits}", "task.model=logistic",
    "method={name: fedavg, epochs: 1, batch: 50, lr: 0.1, momentum: 0.9}",
)  # fmt: skip
SMALL = ("stop.rounds=3", *DIGITS)
TOO_SMALL = """
name: fit
fleet: [{profile: stm32h7a3, count: 2, link: {rate: "1 Mbit/s"}}]
network: ethernet
server: framework13_amd
task: {data: digits, model: {name: small_cnn, width: 24}, partition: iid}
method: {name: fedavg, momentum: 0.9, batch: 256}
stop: {rounds: 1}
"""


class _Crash(Exception):
    pass


def crash(_: object) -> None:
    raise _Crash


def begun(topology: str | Path, folder: Path) -> None:
    with pytest.raises(_Crash):
        run(topology, out=folder, overrides=SMALL, settings=Settings(progress=crash))


def test_nobody_who_can_take_part_is_a_failure_with_numbers(tmp_path: Path) -> None:
    path = tmp_path / "fit.yaml"
    path.write_text(TOO_SMALL)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(out)])
    assert done.exit_code == 1
    assert "no device can take part" in done.stderr
    assert "1.12 MB are available" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("topology", ["iot_mix", "pi_lab", "phones_lte", "jetson_dvfs"])
@pytest.mark.parametrize("method", ["fedavg", "fedprox"])
def test_check_says_who_is_excluded(topology: str, method: str, tmp_path: Path) -> None:
    changes = (f"method.name={method}", "stop.rounds=1", "cost_only=true")
    spec = load_topology(topology, overrides=changes)
    foretold = {
        client.id
        for member, client, cost in resolve(spec).workload()
        if cost is not None and cost.memory > member.profile.memory
    }
    result = run(spec, out=tmp_path / "run", settings=Settings(report=False))
    assert {row["device"] for row in result.trace.devices if row["excluded"]} == foretold
    tables = {table.title: table.rows for table in explain_topology(spec).tables}
    shown = [row for row in tables.get("Who cannot take part", []) if "memory" in row[2]]
    assert sum(int(row[1]) for row in shown) == len(foretold)


@pytest.mark.parametrize("where", ["here", "above", "repository"])
def test_force_deletes_nothing_that_somebody_lives_in(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "inside").mkdir(parents=True)
    (project / "main.py").write_text("precious")
    if where == "repository":
        (project / ".git").mkdir()
    else:
        monkeypatch.chdir(project if where == "here" else project / "inside")
    with pytest.raises(SpecError, match="--force would delete it"):
        run("pi_lab", out=project, overrides=SMALL, force=True)
    assert (project / "main.py").read_text() == "precious"


def test_a_full_disk_keeps_the_run_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "run" / "summary.json"))

    with monkeypatch.context() as patch:
        patch.setattr(study.files, "write", full)
        with pytest.raises(Stuck, match=r"No space left on device\n.*--resume"):
            run("pi_lab", out=tmp_path / "run", overrides=SMALL)
    assert resume(tmp_path / "run").summary["rounds"] == 3


@pytest.mark.parametrize("executor", ["inline", "pool"])
def test_ctrl_c_prints_the_line_that_goes_on(executor: str, tmp_path: Path, repo: Path) -> None:
    folder = tmp_path / "run"
    changes = (*DIGITS, "stop.rounds=10000", "stop.accuracy=1")
    words = [word for change in changes for word in ("--set", change)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hetsim", "run", "pi_lab", "--out", str(folder), *words,
         "--executor", executor],
        cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        journal = folder / "journal.jsonl"
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
            time.sleep(0.01)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        out, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    line = f"python -m hetsim run --resume {folder}"
    assert (process.returncode, out) == (130, "")
    assert told == f"hetsim: interrupted. Go on with: {line}\n"

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    before = journal.read_bytes()
    with pytest.raises(Interrupted, match="Go on with"):
        resume(folder, settings=Settings(progress=stop))
    assert journal.read_bytes() == before
    assert json.loads((folder / "host.json").read_text())["executor"] == executor


def test_ctrl_c_that_is_lost_in_a_finaliser_is_heard_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)

    class Last:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def press(_: object) -> None:
        if not lost:
            Last()

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="Go on with"):
        run("pi_lab", out=tmp_path / "run", overrides=SMALL, settings=Settings(progress=press))
    assert len(lost) == 1
    assert signal.getsignal(signal.SIGINT) == before
    assert resume(tmp_path / "run").summary["rounds"] == 3


def test_a_replacement_goes_on_and_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    folder, cheap = Path("run"), (*SMALL, "cost_only=true")
    run("pi_lab", out=folder, overrides=cheap)
    with pytest.raises(Interrupted, match=rf"--resume {tmp_path / folder}$"):
        run("pi_lab", out=folder, overrides=SMALL, force=True, settings=Settings(progress=stop))
    assert json.loads((folder / "summary.json").read_text())["accuracy"] is None
    result = resume(folder)
    assert result.folder == folder
    assert result.summary["accuracy"] is not None
    assert json.loads((folder / "summary.json").read_text()) == result.summary
    assert list(tmp_path.iterdir()) == [tmp_path / folder]
    monkeypatch.chdir(folder)
    assert resume(Path()).summary == result.summary


def test_resume_under_other_numerics_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    begun("pi_lab", folder)
    journal = folder / "journal.jsonl"
    head = json.loads(journal.read_text().splitlines()[0])
    kept = journal.read_bytes()
    journal.write_text(json.dumps({**head, "numerics": "cpu-f32_another"}) + "\n")
    done = CliRunner().invoke(app, ["run", "--resume", str(folder)])
    assert done.exit_code == 1
    assert "begun with" in done.stderr
    assert "cpu-f32_another" in done.stderr
    assert "--force" in done.stderr
    journal.write_text(json.dumps({**head, "hetsim": "0.0.1"}) + "\n")
    done = CliRunner().invoke(app, ["run", "--resume", str(folder)])
    assert done.exit_code == 1
    assert "begun with hetsim 0.0.1" in done.stderr
    journal.write_bytes(kept[:-5])  # torn: as good as not begun
    assert resume(folder).summary["rounds"] == 3


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_resume_says_which_file_is_damaged(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begun("pi_lab", folder)
    (folder / "provenance.json").write_text(content)
    done = CliRunner().invoke(app, ["run", "--resume", str(folder)])
    assert done.exit_code == 1
    assert "provenance.json" in done.stderr


def test_two_do_not_run_in_one_folder_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def meddle(_: object) -> None:
        with pytest.raises(Stuck, match="another process is running in it"):
            resume(folder)
        with pytest.raises(Stuck, match="another process is running in it"):
            run("pi_lab", out=folder, overrides=SMALL, force=True)

    for _ in range(2):  # in a fresh folder, and beside a complete one that it is to replace
        run("pi_lab", out=folder, overrides=SMALL, settings=Settings(progress=meddle))
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
        assert resume(folder).summary["rounds"] == 3


def test_a_run_killed_before_it_began_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    begun("pi_lab", whole)
    names = {path.name for path in whole.iterdir()}
    rename, left = Path.replace, 0

    def killed(source: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise _Crash
        left -= 1
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", killed)
    for number in range(3):
        left = number
        with pytest.raises(_Crash):
            run("pi_lab", out=folder, overrides=SMALL, settings=Settings(progress=crash))
        assert not (folder / "spec.yaml").exists()
    monkeypatch.undo()
    begun("pi_lab", folder)
    assert {path.name for path in folder.iterdir()} == names


def test_a_replacement_that_was_killed_at_the_last_moment_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = run("pi_lab", out=folder, overrides=(*SMALL, "cost_only=true"))
    folder.rename(tmp_path / ".run.new")
    (tmp_path / ".run.old").mkdir()
    assert resume(folder).summary == first.summary
    assert list(tmp_path.iterdir()) == [folder]


def test_resume_takes_over_how_the_run_was_begun(tmp_path: Path) -> None:
    store, data = tmp_path / "store", tmp_path / "data"
    data.mkdir()
    folder = tmp_path / "run"
    with pytest.raises(_Crash):
        run(
            "pi_lab", out=folder, overrides=SMALL,
            settings=Settings(progress=crash, store=store, data=data),
        )  # fmt: skip
    result = resume(folder)
    assert result.host["store"] == str(store)
    assert result.host["data"] == str(data)
    assert not (folder / "store").exists()


def test_resume_makes_no_report_and_no_store_where_none_was_wanted(tmp_path: Path) -> None:
    folder, bare = tmp_path / "run", Settings(report=False, no_store=True)
    run("pi_lab", out=tmp_path / "whole", overrides=SMALL, settings=bare)
    with pytest.raises(_Crash):
        run("pi_lab", out=folder, overrides=SMALL, settings=replace(bare, progress=crash))
    resume(folder)
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


def test_resume_refuses_a_changed_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    board = library / "board.yaml"
    shutil.copy(repo / "device_profiles" / "raspberry_pi_4b.yaml", board)
    monkeypatch.setenv("HETSIM_PATH", str(library))
    folder = tmp_path / "run"
    with pytest.raises(_Crash):
        run(
            "pi_lab", out=folder, overrides=(*SMALL, "fleet[0].profile=board"),
            settings=Settings(progress=crash),
        )  # fmt: skip
    monkeypatch.delenv("HETSIM_PATH")
    copied = folder / "board.yaml"
    text = copied.read_text()
    copied.write_text(text.replace("title: ", "title: Another "))
    with pytest.raises(HetsimError, match="profile board changed since"):
        resume(folder)
    copied.write_text(text)
    assert resume(folder).summary["rounds"] == 3


def test_a_profile_by_path_travels_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Path
) -> None:
    boards = tmp_path / "work" / "boards"
    boards.mkdir(parents=True)
    shutil.copy(repo / "device_profiles" / "raspberry_pi_4b.yaml", boards / "board.yaml")
    folder = tmp_path / "run"
    monkeypatch.chdir(boards.parent)
    with pytest.raises(_Crash):
        run(
            "pi_lab", out=folder, overrides=(*SMALL, "fleet[0].profile=boards/board.yaml"),
            settings=Settings(progress=crash),
        )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert resume(folder).summary["rounds"] == 3


def test_resume_refuses_a_spec_that_was_edited(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begun("pi_lab", folder)
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("rounds: 3", "rounds: 2"))
    with pytest.raises(HetsimError, match=r"spec\.yaml changed since"):
        resume(folder)


def test_resume_of_nothing_begins_with_the_topology_and_its_changes(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        ["run", "pi_lab", "--resume", str(tmp_path / "new"), "--cost-only",
         "--set", "stop.rounds=2", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rounds"] == 2


def test_a_frequency_that_no_device_has_is_refused() -> None:
    ours = load_topology("jetson_dvfs", overrides=['fleet[3].governor={name: fixed, cpu: "9 GHz"}'])
    with pytest.raises(SpecError, match=r"fleet\[3\]\.governor: cpu: 9 GHz"):
        resolve(ours)
    everyone = load_topology("pi_lab", overrides=['governor={name: fixed, cpu: "9 GHz"}'])
    with pytest.raises(SpecError, match="governor: cpu: 9 GHz"):
        resolve(everyone)
    mixed = load_topology("iot_mix", overrides=['governor={name: fixed, cpu: "1.4 GHz"}'])
    assert resolve(mixed).members()


@pytest.mark.parametrize("options", [["--data", "/nope"], ["--store", "x", "--no-store"]])
def test_options_that_cannot_be_are_refused(options: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "pi_lab", "--out", str(tmp_path / "out"), *options])
    assert done.exit_code == 2
    assert options[-1] in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_ends_early_says_why(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        ["run", "phones_lte", "--out", str(tmp_path / "out"), "--cost-only", "--no-report",
         "--set", "fleet[0].battery={charge: 0.001 %}", "--set", "fleet[0].availability=always",
         "--set", "fleet[1].battery={charge: 0.001 %}"],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "Ended early" in done.stdout
