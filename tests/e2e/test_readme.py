"""The first screen of the README is true: its commands, its output, its picture, its example."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hetsim.report.picture import draw
from hetsim.study.simulate import Result

OUTPUT = re.compile(r"<!-- output: (?P<command>.*?) -->\n```\n(?P<shown>.*?)```", re.S)


@pytest.fixture(scope="module")
def readme(repo: Path) -> str:
    return (repo / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def main_job(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, str]:
    """The main job, run as a person runs it."""
    folder = tmp_path_factory.mktemp("readme")
    done = subprocess.run(
        [sys.executable, "-m", "hetsim", "run", str(repo / "topologies/iot_mix.yaml")],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    [out] = (folder / "runs").iterdir()
    return run_result(out), done.stdout


def run_result(folder: Path) -> Result:
    from hetsim.report.files import read

    return Result(trace=read(folder), folder=folder)


def test_output_is_what_the_main_job_prints(
    readme: str, main_job: tuple[Result, str], repo: Path, update_golden: bool
) -> None:
    found = OUTPUT.search(readme)
    assert found is not None
    assert found["command"] == "hetsim run topologies/iot_mix.yaml"
    printed = "\n".join(line.rstrip() for line in main_job[1].splitlines()) + "\n"
    if update_golden:
        text = readme[: found.start("shown")] + printed + readme[found.end("shown") :]
        (repo / "README.md").write_text(text, encoding="utf-8")
        return
    assert _rounded(printed) == _rounded(found["shown"])


def test_what_is_printed_is_printed_by_what_is_shown(readme: str) -> None:
    shown = re.findall(r"```sh\n(.*?)```", readme, re.S)
    lines = [line for block in shown for line in block.replace("\\\n", "").splitlines()]
    commands = [shlex.split(line.split("&& .venv/bin/python -m ")[-1]) for line in lines]
    for found in OUTPUT.finditer(readme):
        assert shlex.split(found["command"]) in commands


@pytest.mark.slow
def test_output_is_what_the_plan_prints(
    readme: str, repo: Path, tmp_path: Path, update_golden: bool
) -> None:
    [_, found] = OUTPUT.finditer(readme)
    line = shlex.split(found["command"])
    done = subprocess.run(
        [sys.executable, "-m", *line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    printed = "\n".join(row.rstrip() for row in done.stdout.splitlines()) + "\n"
    if update_golden:
        text = readme[: found.start("shown")] + printed + readme[found.end("shown") :]
        (repo / "README.md").write_text(text, encoding="utf-8")
        return
    assert _rounded(printed) == _rounded(found["shown"])


def test_picture_is_drawn_from_the_main_job(
    readme: str, main_job: tuple[Result, str], repo: Path, tmp_path: Path, update_golden: bool
) -> None:
    shown = re.search(r"!\[.*?\]\((?P<path>.*?\.svg)\)", readme)
    assert shown is not None
    picture = repo / shown["path"]
    fresh = picture if update_golden else tmp_path / "picture.svg"
    draw(main_job[0].trace, fresh)
    assert _shapes(picture) == _shapes(fresh)


def test_example_runs(readme: str, tmp_path: Path) -> None:
    found = re.search(r"```python\n(?P<code>.*?)```", readme, re.S)
    assert found is not None
    assert len(found["code"].strip().splitlines()) <= 12
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", found["code"]],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("<run jetson_dvfs in runs/")
    assert re.search(r"^server +\d+\.\d+$", done.stdout, re.M)
    assert (tmp_path / "timeline.html").is_file()


def test_every_link_into_the_repository_exists(readme: str, repo: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (repo / target).exists(), target


def _shapes(picture: Path) -> list[str]:
    """Names of everything drawn, in order; where a learned value stands may differ by CPU type."""
    drawn = re.findall(r'<g id="(\w+)"', picture.read_text(encoding="utf-8"))
    assert len(drawn) > 20
    return drawn


def _rounded(text: str) -> str:
    """Learned numbers (accuracy and when it is reached) may differ between CPU types: left out."""
    kept = [line for line in text.splitlines() if not line.startswith(("How good", "Written to"))]
    return "\n".join(kept).strip()
