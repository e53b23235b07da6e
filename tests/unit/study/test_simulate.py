"""From a topology to a folder: what a caller of `hetsim.run` relies on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hetsim as hs
from hetsim.core.errors import Interrupted, SpecError
from hetsim.core.trace import Progress
from hetsim.study.simulate import Settings, default_folder, resume, run, simulate
from hetsim.testing import tiny
from hetsim.testing.world import TOPOLOGY

BARE = Settings(report=False)


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY)
    return path


def test_a_loaded_spec_and_its_file_are_the_same_run(topology: Path, tmp_path: Path) -> None:
    by_file = run(topology, out=tmp_path / "a", seed=3, overrides=["method.lr=0.2"], settings=BARE)
    spec = hs.load(topology, seed=3, overrides=["method.lr=0.2"])
    by_spec = run(spec, out=str(tmp_path / "b"), settings=BARE)
    assert by_file.summary == by_spec.summary
    assert by_spec.folder == tmp_path / "b"


@pytest.mark.parametrize("late", [{"seed": 1}, {"overrides": ["method.lr=1"]}])
def test_a_loaded_spec_is_changed_no_more(topology: Path, late: dict) -> None:
    with pytest.raises(TypeError, match=r"hetsim\.load"):
        run(hs.load(topology), settings=BARE, **late)


def test_nothing_is_written_without_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = simulate(tiny(), Settings(), None)
    assert result.folder is None
    assert result.summary["accuracy"] > 0.0
    assert list(tmp_path.iterdir()) == []


def test_host_file_counts_what_was_computed(topology: Path, tmp_path: Path) -> None:
    late = ["pace.deadline=200 ms", "selection.cohort=4"]
    result = run(topology, out=tmp_path / "run", overrides=late, settings=BARE)
    host = json.loads((tmp_path / "run" / "host.json").read_text())
    assert host == json.loads(json.dumps(result.host))
    assert host["refs"]["executed"] == {
        "evaluate": 2, "initial": 1, "labels": 1, "mean": 2, "train": 6,
    }  # fmt: skip
    assert host["refs"]["from_store"] == {}


def test_a_shared_store_saves_the_work_of_another_run(topology: Path, tmp_path: Path) -> None:
    shared = Settings(report=False, store=tmp_path / "store")
    first = run(topology, out=tmp_path / "a", settings=shared)
    second = run(topology, out=tmp_path / "b", settings=shared)
    assert first.host["refs"]["executed"]["train"] == 6
    assert second.host["refs"]["executed"] == {}
    assert second.summary == first.summary
    assert not (tmp_path / "b" / "store").exists()


def test_a_store_takes_no_more_than_it_may(topology: Path, tmp_path: Path) -> None:
    for name, limit in (("small", 6_000.0), ("large", None)):
        run(
            topology, out=tmp_path / name,
            settings=Settings(store=tmp_path / f"{name}-store", store_limit=limit, report=False),
        )  # fmt: skip
    sizes = {
        name: sum(
            path.stat().st_size for path in (tmp_path / f"{name}-store").rglob("*.safetensors")
        )
        for name in ("small", "large")
    }
    assert 0 < sizes["small"] <= 6_000 < sizes["large"]


def test_no_store_keeps_nothing(topology: Path, tmp_path: Path) -> None:
    run(topology, out=tmp_path / "run", settings=Settings(report=False, no_store=True))
    assert not (tmp_path / "run" / "store").exists()
    assert not (tmp_path / "run" / "report.html").exists()


def test_default_folder_says_what_it_holds() -> None:
    scenario = tiny(seed=4)
    assert default_folder(scenario) == Path("runs") / f"tiny-{scenario.digest[:8]}-s4"
    assert default_folder(tiny("method.lr=0.2", seed=4)) != default_folder(scenario)


def test_ctrl_c_keeps_what_was_computed(topology: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def watch(state: Progress) -> None:
        if list((folder / "store").rglob("*.safetensors")):
            raise KeyboardInterrupt

    def stop(state: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=f"--resume {folder}"):
        run(topology, out=folder, settings=Settings(progress=watch))
    with pytest.raises(Interrupted, match=r"^interrupted$"):
        simulate(tiny(), Settings(progress=stop), None)
    assert list((folder / "store").rglob("*.safetensors"))


def test_ctrl_c_while_the_results_are_written(
    topology: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("hetsim.report.files.write", stop)
        with pytest.raises(Interrupted, match=f"--resume {folder}"):
            run(topology, out=folder, settings=BARE)
    assert resume(folder, settings=BARE).host["refs"]["executed"] == {}


def test_resume_begins_where_there_is_nothing_yet(topology: Path, tmp_path: Path) -> None:
    result = resume(tmp_path / "run", topology=str(topology), settings=BARE)
    assert result.summary["rounds"] == 2
    with pytest.raises(SpecError, match="another spec"):
        resume(tmp_path / "run", topology="pi_lab", settings=BARE)


def test_a_profile_of_the_users_own_travels_with_the_run(
    topology: Path, tmp_path: Path, repo: Path
) -> None:
    text = (repo / "device_profiles" / "pixel_6.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text)
    topology.write_text(TOPOLOGY.replace("pixel_6", "mine"))
    first = run(topology, out=tmp_path / "run", settings=BARE)
    (tmp_path / "mine.yaml").unlink()
    (tmp_path / "run" / "summary.json").unlink()
    assert resume(tmp_path / "run", settings=BARE).summary == first.summary
