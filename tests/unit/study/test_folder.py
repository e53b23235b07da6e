"""The life of a run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.study import folder as run_folder


def finished(folder: Path, spec: str = "a") -> Path:
    """A complete run."""
    work = run_folder.open_folder(folder, spec, force=False)
    run_folder.write(work / run_folder.SUMMARY, "{}")
    run_folder.close_folder(work, folder)
    return folder


def test_a_fresh_folder_begins_with_the_spec(tmp_path: Path) -> None:
    work = run_folder.open_folder(tmp_path / "deep" / "run", "a", force=False)
    assert work == tmp_path / "deep" / "run"
    assert [path.name for path in work.iterdir()] == [run_folder.SPEC]
    assert not run_folder.is_complete(work)


def test_an_empty_folder_is_fresh(tmp_path: Path) -> None:
    assert run_folder.open_folder(tmp_path, "a", force=False) == tmp_path


def test_the_old_run_stays_until_the_new_one_is_done(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    (folder / "mark").write_text("old")
    work = run_folder.open_folder(folder, "a", force=False)
    assert work != folder
    assert (folder / "mark").exists()
    run_folder.write(work / run_folder.SUMMARY, "{}")
    run_folder.close_folder(work, folder)
    assert run_folder.is_complete(folder)
    assert not (folder / "mark").exists()
    assert list(tmp_path.iterdir()) == [folder]


def test_leftovers_of_a_killed_run_are_no_obstacle(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    for word in ("new", "old"):
        (tmp_path / f".run.{word}").mkdir()
        (tmp_path / f".run.{word}" / "half").write_text("")
    work = run_folder.open_folder(folder, "a", force=False)
    run_folder.close_folder(work, folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert not (folder / "half").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"letter.txt": "dear"}, "no run of hetsim"),
        ({run_folder.SPEC: "a"}, "unfinished run"),
        ({run_folder.SPEC: "b", run_folder.SUMMARY: "{}"}, "another spec"),
    ],
)
def test_what_is_not_this_run_is_kept_unless_forced(
    tmp_path: Path, content: dict[str, str], says: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    with pytest.raises(SpecError, match=says) as refusal:
        run_folder.open_folder(folder, "a", force=False)
    assert "--force" in refusal.value.remedy
    assert {path.name: path.read_text() for path in folder.iterdir()} == content
    work = run_folder.open_folder(folder, "a", force=True)
    run_folder.close_folder(work, folder)
    assert [path.name for path in folder.iterdir()] == [run_folder.SPEC]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(SpecError, match="is a file"):
        run_folder.open_folder(tmp_path / "run", "a", force=True)


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="cannot be written") as refusal:
        run_folder.open_folder(tmp_path / "file" / "run", "a", force=False)
    assert "--out" in refusal.value.remedy


def test_a_text_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder.write(tmp_path / "text", "old")

    def power_cut(descriptor: int) -> None:
        raise OSError("gone")

    monkeypatch.setattr(run_folder.os, "fsync", power_cut)
    with pytest.raises(OSError, match="gone"):
        run_folder.write(tmp_path / "text", "new")
    assert (tmp_path / "text").read_text() == "old"
