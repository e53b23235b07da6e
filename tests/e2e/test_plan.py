"""Plans: the answer is the one that enumeration gives, its files re-run, a killed one goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hetsim.core.errors import HetsimError, Interrupted, SpecError
from hetsim.study import campaign
from hetsim.study.errand import Means
from hetsim.study.front import front
from hetsim.study.plan import Asked, plan, resume
from hetsim.study.planned import EVALUATIONS, PAGE, RESULT, Planned
from hetsim.study.simulate import run
from hetsim.testing.world import TOPOLOGY

VARY = (
    "fleet[pi].count=0,1,3", "governor=performance,powersave",
    "network.nodes.ap={technology: wifi, power: 6 W},{technology: ethernet, power: 12 W}",
)  # fmt: skip
PRICES = ("raspberry_pi_4b=75", "jetson_tx2=400", "pixel_6=300", "server=900", "wifi=40",
          "ethernet=80")  # fmt: skip
CHEAP = ("stop.rounds=2",)
LEARN = ("stop.rounds=6", "task.data={name: digits, train: 400, test: 200}")


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return path


def asked(topology: Path, **more: Any) -> Asked:
    settings: dict[str, Any] = {
        "goals": ("time<=1 min", "energy<=50 J"), "vary": VARY, "prices": PRICES,
        "overrides": CHEAP,
    }  # fmt: skip
    return Asked(topology=str(topology), **(settings | more))


def table(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / EVALUATIONS).to_pylist()


def answer(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RESULT).read_text("utf-8"))


def same(summary: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    assert summary["simulated_s"] == row["time_s"]
    assert summary["energy_j"]["total"] == row["energy_j"]
    assert summary["energy_by_role_j"]["device"] == row["device_j"]
    assert summary["active_j"] == row["active_j"]
    assert summary["bytes_up"] + summary["bytes_down"] == row["bytes_sent"]
    assert summary["trace_hash"] == row["trace_hash"]


def test_a_small_space_is_looked_at_whole_and_its_front_re_runs(
    topology: Path, tmp_path: Path
) -> None:
    found = plan(asked(topology), out=tmp_path / "out")
    rows = {row["configuration"]: row for row in table(found.folder)}
    assert found.exact
    assert len(rows) == 12 == found.played
    values = {n: (r["time_s"], r["energy_j"], r["price"]) for n, r in rows.items()}
    goals = (60.0, 50.0, float("inf"))
    meeting = [n for n, v in values.items() if all(a <= b for a, b in zip(v, goals, strict=True))]
    best = {meeting[place] for place in front([values[n] for n in meeting])}
    told = answer(found.folder)
    assert {each["configuration"] for each in told["front"]} == best
    assert 0 < len(best) < len(meeting) < 12
    chosen = told["chosen"]
    assert chosen == {k: v for k, v in told["front"][0].items() if k != "file"}
    assert chosen["values"]["price"] == min(values[n][2] for n in meeting)
    assert rows[chosen["configuration"]]["status"] == "chosen"
    for each in told["front"]:
        row = rows[each["configuration"]]
        alone = run(found.folder / each["file"], out=tmp_path / "alone", force=True).summary
        same(alone, row)
        assert alone["accuracy"] is not None, "the file is of the whole run, training included"
    bare = {row["price"] for row in rows.values() if row["fleet[pi].count"] == 0}
    boards = 400 + 300 + 900 + 80
    assert bare == {boards + 40, boards + 80}


def test_steps_say_what_one_more_buys(topology: Path, tmp_path: Path) -> None:
    found = plan(asked(topology, vary=("fleet[pi].count=1..3",)), out=tmp_path / "out")
    told = answer(found.folder)
    rows = {row["fleet[pi].count"]: row for row in table(found.folder)}
    [more] = told["steps"]
    assert told["chosen"]["settings"] == {"fleet[pi].count": "1"}
    assert more["step"] == "1 more pi"
    for name, column in (("time", "time_s"), ("energy", "energy_j"), ("price", "price")):
        assert more["changes"][name] == rows[2][column] / rows[1][column] - 1.0
    assert more["changes"]["price"] > 0.0


def test_a_search_finds_what_enumeration_finds_and_steps_lead_on(
    topology: Path, tmp_path: Path
) -> None:
    """Of 12 configurations 8 are looked at; steps from the best of them find the cheapest."""
    whole = answer(plan(asked(topology), out=tmp_path / "whole").folder)
    found = plan(asked(topology, evaluations=8), out=tmp_path / "some")
    told = answer(found.folder)
    assert not told["exact"]
    assert [row["step"] for row in table(found.folder)].count(False) == 8
    assert told["chosen"]["values"] == whole["chosen"]["values"]


def test_nothing_meets_the_goals(topology: Path, tmp_path: Path) -> None:
    impossible = asked(topology, goals=("time<=1 ms", "price<=1000"), evaluations=6)
    found = plan(impossible, out=tmp_path / "out")
    told = answer(found.folder)
    assert (told["met"], told["chosen"]) == (False, None)
    near = told["nearest_miss"]
    assert len(near["misses"]) == 2
    assert "times 1.00 ms" in near["misses"][0]
    assert told["answer"].startswith("Nothing that was looked at meets all goals.")
    assert told["steps"]
    rows = table(found.folder)
    nearest = next(row for row in rows if row["status"] == "nearest")
    whole = [row for row in rows if row["time_s"] is not None]
    assert nearest["miss_time"] + nearest["miss_price"] == min(
        row["miss_time"] + row["miss_price"] for row in whole
    )
    assert nearest["miss_price"] == pytest.approx(nearest["price"] / 1000 - 1.0)
    assert told["answer"] in unescape((found.folder / PAGE).read_text())


def test_learning_goes_up_the_ladder(topology: Path, tmp_path: Path) -> None:
    """What is dear is cut by its price, what is slow by what it surely takes; the rest trains."""
    learning = asked(
        topology, goals=("accuracy>=0.75", "energy<=2 kJ", "price<=1920"),
        vary=("fleet[pi].count=1,2,4", "method.lr=0.0001,0.1", "governor=performance,powersave"),
        overrides=LEARN, seeds=(0, 1), few=2,
    )  # fmt: skip
    found = plan(learning, out=tmp_path / "out")
    told, rows = answer(found.folder), table(found.folder)
    assert told["met"]
    assert {row["rung"] for row in rows if row["fleet[pi].count"] == 4} == {"price"}
    assert told["rungs"]["price"] == 4
    assert told["chosen"]["values"]["accuracy"] >= 0.75
    assert told["chosen"]["settings"]["method.lr"] == "0.1"
    chosen = rows[told["chosen"]["configuration"]]
    assert chosen["seeds"] == 2
    file = found.folder / told["front"][0]["file"]
    alone = [run(file, out=tmp_path / f"s{seed}", seed=seed).summary for seed in (0, 1)]
    assert max(each["simulated_s"] for each in alone) == chosen["time_s"]
    assert min(each["best_accuracy"] for each in alone) == chosen["accuracy"]
    assert max(each["energy_j"]["total"] for each in alone) == chosen["energy_j"]
    assert any(each["rounds"] < 6 for each in alone), "a run ends as soon as it is good enough"


def test_what_is_cut_would_not_have_been_chosen(topology: Path, tmp_path: Path) -> None:
    """With goals on which nothing can be cut but by others, the answer is that of playing all."""
    vary = ("fleet[pi].count=1,2,3", "method.lr=0.02,0.1", "governor=performance,powersave")
    learning = asked(topology, goals=("accuracy>=0.6", "energy<=1 MJ"), vary=vary, overrides=LEARN)
    found = plan(learning, out=tmp_path / "out")
    cut = [each for each in found.candidates if each.cut and not each.whole]
    assert cut
    chosen = answer(found.folder)["chosen"]["values"]
    for each in cut:
        settings = map("=".join, zip(found.keys, each.point, strict=True))
        alone = run(
            topology, overrides=("stop.accuracy=0.6", *LEARN, *settings),
            out=tmp_path / "alone", force=True,
        ).summary  # fmt: skip
        taken = (each.values["price"], alone["energy_j"]["total"])
        assert taken >= (chosen["price"], chosen["energy_j"]) or alone["best_accuracy"] < 0.6


def test_jobs_change_nothing(topology: Path, tmp_path: Path) -> None:
    one = plan(asked(topology, evaluations=8), out=tmp_path / "one")
    two = plan(asked(topology, evaluations=8), out=tmp_path / "two", means=Means(jobs=2))
    for name in (EVALUATIONS, PAGE, RESULT, "plan.yaml", "front/01.yaml"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes(), name


def test_an_interrupted_plan_goes_on(
    topology: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate, count = campaign.simulate, 0

    def tired(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 6:
            raise KeyboardInterrupt
        return simulate(*arguments)

    monkeypatch.setattr(campaign, "simulate", tired)
    folder = tmp_path / "out"
    with pytest.raises(Interrupted, match=f"Go on with: python -m hetsim plan --resume {folder}"):
        plan(asked(topology), out=folder)
    assert not (folder / RESULT).exists()
    found = resume(folder)
    assert found.played == 12 - 5
    whole = plan(asked(topology), out=tmp_path / "whole")
    for name in (EVALUATIONS, RESULT, PAGE):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert resume(folder).played == 0
    with pytest.raises(SpecError, match="holds another plan"):
        plan(asked(topology, evaluations=7), out=folder)
    with pytest.raises(SpecError, match="no plan to resume"):
        resume(tmp_path / "nothing")
    topology.write_text(topology.read_text().replace("40 Mbit/s", "41 Mbit/s"))
    with pytest.raises(HetsimError, match="changed since the plan was begun"):
        resume(folder)


def test_a_configuration_that_cannot_be_is_no_error(topology: Path, tmp_path: Path) -> None:
    vary = ("fleet[pi].count=0,1", "fleet[phone].count=0,1", "fleet[jetson].count=0,1")
    found = plan(asked(topology, vary=vary), out=tmp_path / "out")
    [failed] = [row for row in table(found.folder) if row["status"] == "failed"]
    assert [failed[f"fleet[{name}].count"] for name in ("pi", "phone", "jetson")] == [0, 0, 0]
    assert "fleet" in failed["why"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"goals": ()}, "nothing to reach"),
        ({"goals": ("tme<=4 h",)}, 'Did you mean "time"'),
        ({"vary": ()}, "nothing to choose"),
        ({"vary": ("fleet[pie].count=1,2",)}, r'--vary fleet\[pie\].count=1(.|\n)*mean "pi"'),
        ({"vary": ("method.lr=0.1,-1",)}, r"--vary method.lr=-1"),
        ({"vary": ("governor=performance,powersav",)}, 'Did you mean "powersave"'),
        ({"prices": ("raspbery_pi_4b=1",)}, 'Did you mean "raspberry_pi_4b"'),
        ({"prices": (), "goals": ("price<=3",)}, "nothing has a price"),
        ({"minimise": ("accuracy",)}, "Write --maximise accuracy"),
        ({"minimise": ("tim",)}, 'Did you mean "time"'),
        ({"goals": ("accuracy>=0.5",), "overrides": ("cost_only=true",)}, "tells no accuracy"),
        ({"seeds": (1, 1)}, "a seed is given twice"),
    ],
)
def test_what_is_wrong_is_refused_before_anything(
    topology: Path, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        plan(asked(topology, **more), out=tmp_path / "out")
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_accuracy_may_be_as_high_as_can_be(topology: Path, tmp_path: Path) -> None:
    found: Planned = plan(
        asked(topology, goals=("energy<=2 kJ",), vary=("method.lr=0.0001,0.1",),
              maximise=("accuracy",), prices=(), overrides=LEARN),
        out=tmp_path / "out",
    )  # fmt: skip
    assert found.objectives == ("accuracy",)
    low, high = table(found.folder)
    assert low["accuracy"] < high["accuracy"]
    assert high["status"] == "chosen"


# --- the command ----------------------------------------------------------------------------------


def command(topology: Path, folder: Path, *more: str) -> list[str]:
    options = [part for text in VARY for part in ("--vary", text)]
    options += [part for text in PRICES for part in ("--price", text)]
    line = [sys.executable, "-m", "hetsim", "plan", str(topology), "--goal", "time<=1 min"]
    return [*line, *options, "--out", str(folder), *more]


@pytest.mark.slow
def test_a_plan_that_is_killed_goes_on(topology: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    line = command(topology, folder, "--set", "stop.rounds=20", "--json")
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(list((folder / "runs").glob("*.json"))) < 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    kept = len(list((folder / "runs").glob("*.json")))
    assert kept < 12
    last = [sys.executable, "-m", "hetsim", "plan", "--resume", str(folder), "--json"]
    told = json.loads(subprocess.run(last, capture_output=True, text=True, check=True).stdout)
    assert told["played"] == 12 - kept
    assert told["met"]
    assert told["folder"] == str(folder)


@pytest.mark.slow
def test_ctrl_c_prints_the_line_to_go_on(topology: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    line = command(topology, folder, "--set", "stop.rounds=50", "--jobs", "2")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list((folder / "runs").glob("*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert f"Go on with: python -m hetsim plan --resume {folder}" in err
    assert "Traceback" not in err


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a program that finds a Ray cluster by its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    line = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    line += ["--num-cpus=1", "--node-ip-address=127.0.0.1", f"--port={address.partition(':')[2]}"]
    line += ["--include-dashboard=false", "--disable-usage-stats"]
    log = tmp_path / "head.log"
    with log.open("wb") as file:
        head = subprocess.Popen(line, env=environment, stdout=file, stderr=file)
    try:
        while "Ray runtime started" not in log.read_text():
            assert head.poll() is None, log.read_text()
            time.sleep(0.1)
        yield environment | {"RAY_ADDRESS": address}
    finally:
        head.terminate()
        head.wait(60)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_cluster_that_is_found_by_its_address_changes_nothing(
    topology: Path, tmp_path: Path, cluster: dict[str, str]
) -> None:
    few = ("--set", "stop.rounds=2", "--evaluations", "8", "--json")
    found: dict[str, Any] = {}
    for name, more in (("ray", ("--executor", "ray")), ("alone", ())):
        done = subprocess.run(
            command(topology, tmp_path / name, *few, *more), env=cluster, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        found[name] = json.loads(done.stdout)
    assert found["ray"]["played"] == found["alone"]["played"] >= 8
    assert found["ray"]["folder"] == str(tmp_path / "ray")
    for name in (EVALUATIONS, PAGE, RESULT, "plan.yaml", "front/01.yaml"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


@pytest.mark.slow
def test_a_full_disk_is_told_with_the_line_to_go_on(topology: Path, tmp_path: Path) -> None:
    """Files of 200 kB at most: runs and tables fit, the page does not."""
    folder = tmp_path / "out"
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (200_000, 200_000)); "
    verb = "import hetsim.cli as c; c.main()"
    line = command(topology, folder, "--set", "stop.rounds=2")
    line[1:3] = ["-c", limit + verb]
    full = subprocess.run(line, capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert "File too large" in full.stderr
    assert f"go on with: python -m hetsim plan --resume {folder}" in full.stderr
    assert "Traceback" not in full.stderr
    assert (folder / EVALUATIONS).is_file()
    assert not (folder / RESULT).exists()
    assert resume(folder).played == 0


@pytest.mark.slow
def test_the_terminal_says_what_to_buy(topology: Path, tmp_path: Path) -> None:
    line = command(topology, tmp_path / "out", "--set", "stop.rounds=2", "--cost-only")
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "meet all goals. The cheapest: fleet[pi].count=" in done.stdout
    assert "Pareto front" in done.stdout
    assert "One step from the chosen configuration" in done.stdout
    line += ["--goal", "bytes<=3"]
    wrong = subprocess.run(line, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "--goal bytes<=3: 3 has no unit" in wrong.stderr
