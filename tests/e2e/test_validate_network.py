"""`hetsim validate network` from the command line: what it prints, and how it ends."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from hetsim import cli
from tests.oracle.filling import Filling
from tests.oracle.random_scenarios import HORIZON, scenario

Json = dict[str, Any]
SEEDS = (3, 4, 5)


def answered(about: Json) -> Json:
    """What the second solver says, in the oracle's format; all that it leaves open is left out."""
    answer = Filling(about)
    drawn = {name: {"energy_J": joules} for name, joules in answer.joules.items()}
    nodes = [node["id"] for node in about["nodes"]]
    return {
        "format": "hetsim-oracle-expected/1", "scenario": about["id"],
        "activities": {
            name: {"start_s": answer.start[name], "finish_s": answer.finish[name], "state": state}
            for name, state in answer.state.items()
        },
        "nodes": {name: drawn[name] for name in nodes},
        "links": {name: each for name, each in drawn.items() if name not in nodes},
    }  # fmt: skip


def closed(about: Json) -> Json:
    """The scenario without what does not end before its horizon."""
    answer = Filling(about)
    open_ = {name for name, state in answer.state.items() if state in ("running", "waiting")}
    kept = copy.deepcopy(about)
    kept["activities"] = [
        each | {"after": [name for name in each["after"] if name not in open_]}
        for each in about["activities"] if each["id"] not in open_
    ]  # fmt: skip
    names = {each["id"] for each in kept["activities"]}
    kept["events"] = [each for each in about["events"] if each.get("activity", "") in {"", *names}]
    return closed(kept) if open_ else kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("scenarios", "expected"):
        (tmp_path / name).mkdir()
    for seed in SEEDS:
        about = closed(scenario(seed))
        text = json.dumps(about)
        digest = hashlib.sha256(text.encode()).hexdigest()
        answer = answered(about) | {"scenario_sha256": digest}
        (tmp_path / "scenarios" / f"random{seed}.json").write_text(text)
        (tmp_path / "expected" / f"random{seed}.json").write_text(json.dumps(answer))
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["validate", "network", *arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def change(file: Path, place: tuple[str | int, ...], value: Any) -> None:
    data: Any = json.loads(file.read_text())
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    file.write_text(json.dumps(data))


def test_all_is_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder)) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[4:8]] == [
        "random3",
        "random4",
        "random5",
        "all",
    ]
    assert "FAILED" not in out


def test_json_says_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["passed"] is True
    assert said["scenarios"] == len(SEEDS)
    assert said["worst_times"] < 1e-9
    assert [each["scenario"] for each in said["results"]] == ["random3", "random4", "random5"]
    assert said["packet_level"] == []


def test_a_wrong_time_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "expected" / "random3.json"
    answer = json.loads(file.read_text())
    name, about = next((n, a) for n, a in answer["activities"].items() if a["state"] == "done")
    wrong = about["finish_s"] + 3e-6 * max(about["finish_s"] - about["start_s"], 1e-3)
    change(file, ("activities", name, "finish_s"), wrong)
    assert run(str(folder), "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["failed"] == ["random3"]
    assert said["results"][0]["worst"]["times"] == name
    assert said["worst_times"] == pytest.approx(3e-6, rel=1e-3)


def test_wrong_joules_and_states_are_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder / "expected" / "random4.json", ("nodes", "n0", "energy_J"), 1e6)
    answer = json.loads((folder / "expected" / "random5.json").read_text())
    name = next(name for name, about in answer["activities"].items() if about["state"] == "done")
    change(folder / "expected" / "random5.json", ("activities", name, "state"), "failed")
    change(folder / "expected" / "random3.json", ("links", "ghost"), {"energy_J": 1.0})
    assert run(str(folder)) == 1
    out = capsys.readouterr().out
    assert "joules of n0" in out
    assert f"{name} is done, expected failed" in out
    assert "no node or link ghost in the scenario" in out


def test_an_answer_to_another_version_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder / "expected" / "random3.json", ("scenario_sha256",), "0" * 64)
    assert run(str(folder)) == 1
    assert "another version of this scenario" in capsys.readouterr().out


def test_a_missing_answer_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "expected" / "random4.json").unlink()
    assert run(str(folder)) == 2
    assert "no answer to random4.json (1 of 3 scenarios)" in capsys.readouterr().err


def test_a_folder_without_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path)) == 2
    assert "no scenario." in capsys.readouterr().err
    assert run(str(tmp_path / "nowhere")) == 2
    assert "no such folder" in capsys.readouterr().err


MALFORMED: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "no horizon": (("horizon_s",), None, "horizon_s: missing"),
    "unknown model": (("network_model",), "reno", "network_model:"),
    "text for a number": (("links", 0, "bandwidth_Bps"), "100", "links[0].bandwidth_Bps:"),
    "negative": (("links", 0, "latency_s"), -1.0, "links[0].latency_s:"),
    "unknown kind of event": (("events", 0, "type"), "explode", "events[0]: no type"),
    "no kind of activity": (("activities", 0, "type"), None, "activities[0]: has no type"),
    "unknown node": (("links", 0, "a"), "n99", 'links[0].a: no node "n99"'),
    "event of nothing": (
        ("events", 0), {"t_s": 1.0, "type": "cancel", "activity": "x"},
        'events[0].activity: no activity "x"',
    ),
    "no such pstate": (("nodes", 0, "pstate"), 9, "nodes[0].pstate: n0 has no pstate 9"),
    "twice": (("nodes", 1, "id"), "n0", 'nodes[1].id: a second "n0"'),
    "after itself": (("activities", 0, "after"), ["a0"], "activities[0].after[0]: a0 stands no"),
    "another format": (("format",), "hetsim-oracle/9", "format:"),
    "late event": (("events", 0, "t_s"), None, "events[0].t_s: missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_wrong_file_is_refused(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, value, message = MALFORMED[case]
    change(folder / "scenarios" / "random3.json", place, value)
    assert run(str(folder)) == 2
    err = capsys.readouterr().err
    assert f"random3.json: {message}" in err, err


def test_a_path_needs_links(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "scenarios" / "random3.json"
    data = json.loads(file.read_text())
    joined = {frozenset((link["a"], link["b"])) for link in data["links"]}
    names = [node["id"] for node in data["nodes"]]
    a, b = next((a, b) for a in names for b in names if a != b and {a, b} not in joined)
    place = next(i for i, each in enumerate(data["activities"]) if each["type"] == "flow")
    change(file, ("activities", place, "path"), [a, b])
    assert run(str(folder)) == 2
    assert f"activities[{place}].path[1]: no link from {a} to {b}" in capsys.readouterr().err


def test_no_weight_without_latency(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "scenarios" / "random4.json"
    data = json.loads(file.read_text())
    assert data["network_model"] == "maxmin_inverse_latency"
    for place in range(len(data["links"])):
        change(file, ("links", place, "latency_s"), 0.0)
    assert run(str(folder)) == 2
    assert "a path of latency 0 has no weight" in capsys.readouterr().err


def test_no_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "expected" / "random3.json").write_text('{"format": ')
    assert run(str(folder)) == 2
    assert "is no JSON: EOF while parsing" in capsys.readouterr().err


WARMING = {
    "id": "step", "type": "thermal_rc", "ambient_C": 25.0, "R_K_per_W": 8.0, "C_J_per_K": 12.0,
    "initial_C": 25.0, "steps": [{"duration_s": 60, "power_W": 5.0}],
    "expected": [{"t_s": 60.0, "temp_C": 43.58954285924039}],
}  # fmt: skip


def test_exact_answers_are_checked_where_there_are_any(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "closed_form.json"
    file.write_text(json.dumps({"format": "hetsim-oracle-closed-form/1", "cases": [WARMING]}))
    assert run(str(folder)) == 0
    assert "thermal_rc" in capsys.readouterr().out
    change(file, ("cases", 0, "expected", 0, "temp_C"), 43.5896)
    assert run(str(folder), "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["passed"], said["failed"]) == (False, [])
    assert [row["case"] for row in said["closed_forms"]] == ["step"]


def test_packets_are_reported_and_not_judged(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "scenarios" / "random3.json"
    change(file, ("events",), [])
    about = json.loads(file.read_text())
    (folder / "expected" / "random3.json").write_text(json.dumps(answered(about)))
    flows = [each["id"] for each in about["activities"] if each["type"] == "flow"]
    finish = {name: 2.0 * (Filling(about).finish[name] or HORIZON) for name in flows}
    case = {"scenario": "random3", "finish_s": finish}
    packets = {"format": "hetsim-oracle-packet/1", "engine": "", "cases": [case]}
    (folder / "packet_level.json").write_text(json.dumps(packets))
    assert run(str(folder)) == 0
    out = capsys.readouterr().out
    assert "Beside packets, not judged" in " ".join(out.split())
    assert run(str(folder), "--json") == 0
    bands = json.loads(capsys.readouterr().out)["packet_level"]
    assert [band["model"] for band in bands] == ["maxmin", "lv08"]
    assert all(band["flows"] == len(finish) > 0 for band in bands)
    assert bands[0]["makespan"] < 0.6
