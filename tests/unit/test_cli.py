"""The command line: what it prints where, and with which status it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from hetsim import screen
from hetsim.cli import app
from hetsim.core.errors import HetsimError
from hetsim.core.trace import Progress
from hetsim.spec import check, world
from hetsim.spec.world import Scenario, scenario
from hetsim.testing.world import TOPOLOGY

CHEAP = ("--cost-only", "--no-report")
VERBS = sorted(getattr(get_command(app), "commands"))  # noqa: B009


class Ended:
    """How a command ended."""

    def __init__(self, *arguments: object) -> None:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        self.status, self.out, self.err = result.exit_code, result.stdout, result.stderr
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in self.out + self.err

    @property
    def message(self) -> str:
        """What a refused user reads, after the name of the program."""
        assert self.out == ""
        assert self.err.startswith("hetsim: ")
        return self.err.removeprefix("hetsim: ")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TOPOLOGY)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# --- help -----------------------------------------------------------------------------------------


def test_help_names_every_verb() -> None:
    ended = Ended("--help")
    assert ended.status == 0
    assert VERBS
    for verb in VERBS:
        assert verb in ended.out


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_shows_an_example_and_json(verb: str) -> None:
    ended = Ended(verb, "--help")
    assert ended.status == 0
    assert f"hetsim {verb}" in ended.out.partition("Example:")[2]
    assert "--json" in ended.out


# --- json -----------------------------------------------------------------------------------------


def one_object(ended: Ended) -> dict[str, Any]:
    """The one JSON object on stdout; nothing else is there, and nothing that JSON has not."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert ended.status == 0, ended.err
    value = json.loads(ended.out, parse_constant=refuse)
    assert isinstance(value, dict)
    assert ended.err == ""
    return value


def test_json_of_run(tiny: Path, out: Path) -> None:
    summary = one_object(Ended("run", tiny, "--out", out, "--no-report", "--json"))
    assert summary.pop("folder") == str(out)
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["accuracy"] > 0.0


def test_json_of_a_run_that_diverged(tiny: Path, out: Path) -> None:
    summary = one_object(
        Ended("run", tiny, "--out", out, "--no-report", "--json", "--set", "method.lr=1e38")
    )
    assert summary["loss"] is None


def test_json_of_check(tiny: Path) -> None:
    sheet = one_object(Ended("check", tiny, "--json"))
    assert sheet["title"] == "tiny"
    assert sheet["tables"]
    assert sheet["estimate"]["evaluations"]["value"] == 2
    cheap = one_object(Ended("check", tiny, "--json", "--cost-only"))
    assert cheap["estimate"]["work"]["value"] == 0


def test_a_recorded_run_stands_in_for_learning(tiny: Path, out: Path) -> None:
    assert Ended("run", tiny, "--out", out, "-q", "--no-report").status == 0
    told = one_object(
        Ended("run", tiny, "--surrogate", out, "--out", out.with_name("b"), "--json", "--no-report")
    )
    learned = json.loads((out / "summary.json").read_text())
    assert told["accuracy"] == learned["accuracy"]
    assert told["surrogate"]["spec_hash"] == learned["spec_hash"]
    assert told["model_hash"] is None
    refused = Ended("run", "--resume", out.with_name("b"), "--surrogate", out)
    assert "cannot change a run that has begun" in refused.message


def test_what_is_set_of_a_surrogate_holds_beside_the_option(tiny: Path, out: Path) -> None:
    assert Ended("run", tiny, "--out", out, "-q", "--no-report").status == 0
    other = ("run", tiny, "--surrogate", out, "--out", out.with_name("b"), "--no-report",
             "--set", "method.lr=0.2")  # fmt: skip
    refused = Ended(*other).message
    [remedy] = re.findall(r"--set '(.*)'", refused)
    assert remedy == "surrogate.despite=[method]"
    told = one_object(Ended(*other, "--set", remedy, "--json"))
    assert told["surrogate"]["unlike"] == ["method.lr"]
    assert '"despite"' in Ended(*other, "--set", "surrogate.despiet=[method]").message


def test_json_of_sweep(tiny: Path, out: Path) -> None:
    command = ("sweep", tiny, "--cost-only", "--grid", "seed=0,1", "--json")
    told = one_object(Ended(*command, "--out", out))
    assert (told["points"], told["played"], told["failed"]) == (2, 2, 0)
    assert told["fastest"]["simulated_s"] > 0.0
    assert told["most_accurate"] is None
    assert Path(told["table"]).is_file()
    assert one_object(Ended("sweep", "--resume", out, "--json"))["played"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--grid", "seed"), "key.path=values"),
        (("--sample", "seed=0..9"), "Add --points N"),
        (("--grid", "sed=0,1"), 'Did you mean "seed"'),
        (("--grid", "seed=0,1", "--executor", "pol"), 'Did you mean "pool"'),
        (("--grid", "seed=0,1", "--executor", "inline", "--jobs", "2"), "one run at a time"),
        ((), "no axis"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(
    tiny: Path, out: Path, options: tuple[str, ...], words: str
) -> None:
    ended = Ended("sweep", tiny, "--out", out, *options)
    assert ended.status == 2
    assert words in ended.message
    assert not out.exists()


def test_a_sweep_that_has_begun_cannot_be_changed(tiny: Path, out: Path) -> None:
    assert Ended("sweep", tiny, "--cost-only", "--grid", "seed=0,1", "--out", out).status == 0
    ended = Ended("sweep", "--resume", out, "--grid", "seed=0,1,2")
    assert ended.status == 2
    assert f"hetsim sweep --resume {out}" in ended.message


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_json_of_schema(flags: tuple[str, ...]) -> None:
    schema = one_object(Ended("schema", *flags))
    assert set(schema["required"]) >= {"fleet", "network", "server", "task", "method", "stop"}


@pytest.mark.parametrize("kind", ["device", "method", "network", "policy", "topology", "run"])
def test_json_of_explain(kind: str) -> None:
    assert one_object(Ended("explain", kind, "--json"))["title"]


# --- explain --------------------------------------------------------------------------------------

THINGS = [
    ("device", "raspberry_pi_4b", "Where the others come from"),
    ("method", "fedprox", "mu"),
    ("network", "lte", "transmit"),
    ("policy", "sync", "deadline"),
    ("policy", "random", "cohort"),
    ("policy", "schedutil", "window"),
    ("policy", "dirichlet", "alpha"),
    ("topology", "pi_lab", "raspberry_pi_4b"),
]


@pytest.mark.parametrize(("kind", "name", "says"), THINGS)
def test_explain_a_thing(kind: str, name: str, says: str) -> None:
    ended = Ended("explain", kind, name)
    assert ended.status == 0
    assert says in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in THINGS}))
def test_explain_lists_what_there_is(kind: str) -> None:
    ended = Ended("explain", kind)
    assert ended.status == 0
    for each, name, _ in THINGS:
        if each == kind:
            assert name in ended.out


def test_explain_a_run(tiny: Path, out: Path) -> None:
    Ended("run", tiny, "--out", out, *CHEAP)
    ended = Ended("explain", "run", out)
    assert ended.status == 0
    assert "Where the joules went" in ended.out
    assert "phone-0" in ended.out
    for title in (
        "What held the rounds up",
        "Who held them up",
        "What would help",
        "Who took part",
    ):
        assert title in ended.out


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("devise", None, '"device"'),
        ("device", "raspbery_pi_4b", '"raspberry_pi_4b"'),
        ("method", "fedprx", '"fedprox"'),
        ("network", "wify", '"wifi"'),
        ("policy", "shedutil", '"schedutil"'),
        ("topology", "pi_labb", '"pi_lab"'),
    ],
)
def test_explain_a_wrong_name(kind: str, name: str | None, hint: str) -> None:
    ended = Ended("explain", kind, *([name] if name else []))
    assert ended.status == 2
    assert f"Did you mean {hint}?" in ended.message


def test_explain_an_unfinished_run(tmp_path: Path) -> None:
    ended = Ended("explain", "run", tmp_path)
    assert ended.status == 2
    assert str(tmp_path) in ended.message


# --- run ------------------------------------------------------------------------------------------


def test_quiet_prints_the_folder_only(tiny: Path, out: Path) -> None:
    ended = Ended("run", tiny, "--out", out, *CHEAP, "-q")
    assert (ended.status, ended.out, ended.err) == (0, f"{out}\n", "")


def test_the_answer_names_the_folder(tiny: Path, out: Path) -> None:
    ended = Ended("run", tiny, "--out", out, *CHEAP)
    assert ended.status == 0
    for question in ("How long", "How many joules", "Who dropped out", "How good", "Written to"):
        assert question in ended.out
    assert out.name in ended.out
    assert ended.err == ""


def test_the_answer_says_how_a_large_fleet_was_played(
    tiny: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", tiny, "--out", out, *CHEAP, "--force")
    assert "Played" not in Ended(*command).out
    monkeypatch.setattr(world, "MANY", 4)
    monkeypatch.setattr(scenario, "MANY", 4)
    told = " ".join(Ended(*command).out.split())
    assert "Played device by device: the battery of phone is of the model voltage" in told


def test_a_fleet_too_large_for_what_it_does_is_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "ONE_BY_ONE", 3)
    learning = Ended("check", tiny)
    assert learning.status == 2
    assert "more than 3 devices are too many to learn" in learning.message
    assert "--cost-only" in learning.message
    assert Ended("check", tiny, "--cost-only").status == 0
    monkeypatch.setattr(scenario, "MANY", 2)
    monkeypatch.setattr(scenario, "ONE_BY_ONE", 3)
    for verb in ("check", "run"):
        refused = Ended(verb, tiny, "--cost-only")
        assert refused.status == 1
        assert "columns: the battery of phone is of the model voltage" in refused.message


def test_default_folder_tells_runs_apart(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {
        Ended("run", tiny, *CHEAP, "-q", *more).out.strip()
        for more in ((), ("--seed", 5), ("--set", "method.lr=0.2"))
    }
    assert len(folders) == 3
    for folder in folders:
        assert (tmp_path / folder / "summary.json").is_file()
    assert any(folder.endswith("-s5") for folder in folders)


def test_seed_replaces_the_files(tiny: Path, out: Path) -> None:
    tiny.write_text(f"seed: 3\n{TOPOLOGY}")
    command = ("run", tiny, "--out", out, *CHEAP, "--json", "--force")
    assert one_object(Ended(*command))["seed"] == 3
    assert one_object(Ended(*command, "--seed", 8))["seed"] == 8


def test_options_that_another_method_lacks_are_dropped_aloud(tiny: Path, out: Path) -> None:
    tiny.write_text(TOPOLOGY.replace("fedavg,", "fedprox, mu: 0.2,"))
    switch = ("--set", "method.name=fedavg")
    for command in (("run", tiny, "--out", out, *CHEAP, "-q"), ("check", tiny)):
        ended = Ended(*command, *switch)
        assert ended.status == 0
        assert ended.err == "hetsim: method.mu dropped: fedavg has no such option\n"
    ended = Ended("run", tiny, "--out", out, *CHEAP, *switch, "--set", "method.mu=0.1")
    assert ended.status == 2
    assert "--set method.mu=0.1: method.mu: no such option" in ended.message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "method.lr"), "key.path=value"),
        (("--set", "metod.lr=1"), 'Did you mean "method"'),
        (("--set", "method.name=fedavgg"), 'Did you mean "fedavg"'),
        (("--set", "method.epochs=0"), "epochs is 0"),
        (("--set", "selection.cohort=0"), "cohort is 0"),
        (("--set", "pace.over_selection=0.5"), "over_selection is 0.5"),
        (("--set", "pace.deadline=0 s"), "deadline is 0"),
        (("--set", "method.momentum=1"), "momentum is 1"),
        (("--set", "stop.accuracy=0.9", "--cost-only"), "no accuracy to stop at"),
        (("--executor", "pol"), 'Did you mean "pool"'),
    ],
)
def test_wrong_input_is_refused_and_leaves_nothing(
    tiny: Path, out: Path, arguments: tuple[str, ...], says: str
) -> None:
    ended = Ended("run", tiny, "--out", out, *arguments)
    assert ended.status == 2
    assert says in ended.message
    assert "\n    " in ended.message, "there is no remedy"
    assert not out.exists()


def test_a_store_that_cannot_be_written_leaves_nothing(tiny: Path, out: Path) -> None:
    ended = Ended("run", tiny, "--out", out, "--store", tiny)
    assert ended.status == 2
    assert "--store" in ended.message
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    ["run --seed -1 tiny", "run --seed many tiny", "check", "walk", "run --owt x"],
)
def test_wrong_usage_is_refused(arguments: str) -> None:
    ended = Ended(*arguments.split())
    assert ended.status == 2
    assert ended.out == ""
    assert ended.err


def test_run_without_a_topology_shows_how(tmp_path: Path) -> None:
    ended = Ended("run")
    assert ended.status == 2
    assert "hetsim run iot_mix" in ended.message


def test_a_failed_simulation_is_status_1(
    tiny: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise HetsimError("the moon is in the way")

    monkeypatch.setattr(Scenario, "play", fail)
    ended = Ended("run", tiny, "--out", out, *CHEAP)
    assert ended.status == 1
    assert ended.message == "the moon is in the way\n"


# --- interrupted and resumed ----------------------------------------------------------------------


@contextmanager
def _ctrl_c(*, live: bool) -> Iterator[Callable[[Progress], None]]:
    """A person who loses patience once something has been learned."""

    def watch(state: Progress) -> None:
        if state.computed:
            raise KeyboardInterrupt

    yield watch


@pytest.fixture
def interrupted(tiny: Path, out: Path) -> Path:
    """Folder of a run that was stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "progress", _ctrl_c)
        ended = Ended("run", tiny, "--out", out, "--no-report")
    assert ended.status == 130
    assert f"--resume {out}" in ended.message
    assert not (out / "summary.json").exists()
    return out


def test_an_interrupted_run_goes_on_where_it_stopped(
    interrupted: Path, tiny: Path, tmp_path: Path
) -> None:
    resumed = one_object(Ended("run", "--resume", interrupted, "--no-report", "--json"))
    refs = json.loads((interrupted / "host.json").read_text())["refs"]
    assert refs["from_store"]
    whole = one_object(Ended("run", tiny, "--out", tmp_path / "whole", "--no-report", "--json"))
    assert resumed | {"folder": ""} == whole | {"folder": ""}
    again = Ended("run", "--resume", interrupted, "-q")
    assert (again.status, again.out) == (0, f"{interrupted}\n")


def test_an_interrupted_run_is_not_run_over(interrupted: Path, tiny: Path) -> None:
    ended = Ended("run", tiny, "--out", interrupted, "--no-report")
    assert ended.status == 2
    assert f"--resume {interrupted}" in ended.message
    assert Ended("run", tiny, "--out", interrupted, *CHEAP, "--force", "-q").status == 0


@pytest.mark.parametrize(
    "change", ["--set method.lr=1", "--seed 1", "--cost-only", "--out x", "--force"]
)
def test_what_has_begun_cannot_be_changed(interrupted: Path, change: str) -> None:
    ended = Ended("run", "--resume", interrupted, *change.split())
    assert ended.status == 2
    assert "--resume" in ended.message
    assert not (interrupted / "summary.json").exists()


def test_resume_with_another_topology(interrupted: Path, tiny: Path) -> None:
    tiny.write_text(TOPOLOGY.replace("lr: 0.1", "lr: 0.2"))
    ended = Ended("run", tiny, "--resume", interrupted)
    assert ended.status == 2
    assert "another spec" in ended.message


def test_resume_without_a_run(tmp_path: Path) -> None:
    ended = Ended("run", "--resume", tmp_path / "nothing")
    assert ended.status == 2
    assert "no run to resume" in ended.message
    assert not (tmp_path / "nothing").exists()


def test_interrupted_before_it_began(
    tiny: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Scenario, "text", stop)
    ended = Ended("run", tiny, "--out", out)
    assert (ended.status, ended.out) == (130, "")
    assert not out.exists()
