"""Bandwidth traces, from the topology file to the run folder and back; sharing and caps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec.load import read
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve
from hetsim.study.simulate import Result, resume, run
from hetsim.testing.world import TOPOLOGY

SLOW = "seconds,kbit/s\n0,200\n0.05,50\n0.15,800\n"


def topology(folder: Path, trace: str = "walk.csv", text: str = SLOW, where: str = "") -> Path:
    """A small world in which the boards' link follows a trace."""
    folder.mkdir(exist_ok=True)
    (folder / where).mkdir(exist_ok=True)
    (folder / where / "walk.csv").write_text(text)
    path = folder / "walk.yaml"
    rate = 'rate: "40 Mbit/s"'
    assert rate in TOPOLOGY
    path.write_text(TOPOLOGY.replace(rate, f"{rate}, trace: {trace}"))
    return path


def played(path: Path, out: Path, *overrides: str) -> Result:
    return run(path, out=out, overrides=("cost_only=true", *overrides))


def test_a_trace_travels_with_its_run(tmp_path: Path) -> None:
    first = played(topology(tmp_path / "here"), tmp_path / "run")
    folder = tmp_path / "run"
    assert (folder / "walk.csv").read_text() == SLOW
    hashes = json.loads((folder / "provenance.json").read_text())["hashes"]
    assert "trace walk.csv" in hashes
    trace = read(folder / "spec.yaml").data["fleet"][0]["link"]["trace"]
    assert trace == {"name": "replay", "file": "walk.csv", "end": "loop", "start": "same"}
    shutil.rmtree(tmp_path / "here")
    again = played(folder / "spec.yaml", tmp_path / "again")
    assert again.summary["trace_hash"] == first.summary["trace_hash"]
    assert again.summary["spec_hash"] == first.summary["spec_hash"]
    (folder / "summary.json").unlink()
    assert resume(folder).summary == first.summary


def test_another_trace_is_another_world(tmp_path: Path) -> None:
    slow = played(topology(tmp_path / "a"), tmp_path / "1").summary
    fast = played(topology(tmp_path / "b", text="seconds,kbit/s\n0,9000\n"), tmp_path / "2").summary
    assert slow["spec_hash"] != fast["spec_hash"]
    assert slow["simulated_s"] > fast["simulated_s"] * 1.1


def test_it_may_lie_elsewhere_and_is_named_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = topology(tmp_path / "here", trace="sub/walk.csv", where="sub")
    near = resolve(load_topology(path))
    assert near.spec.fleet[0].link.trace is not None
    assert near.spec.fleet[0].link.trace.options["file"] == "walk.csv"
    far = topology(tmp_path / "there")
    (tmp_path / "there" / "walk.csv").rename(tmp_path / "walk.csv")
    monkeypatch.setenv("HETSIM_PATH", str(tmp_path))
    assert resolve(load_topology(far)).digest == near.digest


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = topology(tmp_path / "here")
    (tmp_path / "walk.csv").write_text(SLOW.replace("50", "60"))
    text = path.read_text().replace('rate: "900 Mbit/s"', 'rate: "9 Mbit/s", trace: ../walk.csv')
    path.write_text(text)
    with pytest.raises(SpecError, match=r'two traces are called "walk.csv"'):
        resolve(load_topology(path))


@pytest.mark.parametrize(
    "setting",
    ["fleet[0].link.trace.end=clamp", "fleet[0].link.trace.start=random",
     'fleet[0].link.trace={name: markov, low: "10 kbit/s", median: "1 Mbit/s", high: "9 Mbit/s"}'],
)  # fmt: skip
def test_options_are_set_and_change_what_happens(setting: str, tmp_path: Path) -> None:
    path = topology(tmp_path / "here")
    plain = played(path, tmp_path / "plain").summary
    other = played(path, tmp_path / "other", setting).summary
    assert other["spec_hash"] != plain["spec_hash"]
    assert other["trace_hash"] != plain["trace_hash"]


def test_a_line_follows_a_trace(tmp_path: Path) -> None:
    steady = 'low: "40 Mbit/s", median: "40 Mbit/s", high: "40 Mbit/s"'
    path = topology(tmp_path / "here", trace=f"{{name: markov, {steady}}}")
    plain = played(path, tmp_path / "plain").summary
    slow = played(path, tmp_path / "slow", "network.links[0].trace=walk.csv").summary
    assert slow["simulated_s"] > plain["simulated_s"] * 1.1


@pytest.mark.parametrize("sharing", ["maxmin", "maxmin_inverse_latency", "lv08"])
def test_the_sharing_is_chosen_in_the_topology(sharing: str, tmp_path: Path) -> None:
    path = topology(tmp_path / "here")
    plain = played(path, tmp_path / "plain").summary
    other = played(path, tmp_path / "other", f"network.sharing={sharing}").summary
    assert read(tmp_path / "other" / "spec.yaml").data["network"]["sharing"] == sharing
    if sharing == "lv08":
        assert other["simulated_s"] > plain["simulated_s"]


def test_a_cap_slows_down_each_flow(tmp_path: Path) -> None:
    path = topology(tmp_path / "here")
    plain = played(path, tmp_path / "plain").summary
    capped = played(path, tmp_path / "capped", 'fleet[0].link.cap="1 kbit/s"').summary
    assert capped["simulated_s"] > plain["simulated_s"] * 2


def test_a_phone_pays_for_promotion_and_tail(tmp_path: Path) -> None:
    """Its link has no rate of its own, so it gets the technology's."""
    path = topology(tmp_path / "here")
    own = ', up: "12 Mbit/s", down: "40 Mbit/s", latency: "150 ms"'
    assert own in path.read_text()
    path.write_text(path.read_text().replace(own, "").replace("{technology: lte}", "nr"))
    played(path, tmp_path / "run")
    joules = json.loads((tmp_path / "run" / "summary.json").read_text())["energy_j"]
    assert joules["radio_tail"] > 0.83 * 2.05


def test_inverse_latency_refuses_a_technology_without_latency(tmp_path: Path) -> None:
    path = topology(tmp_path / "here")
    settings = ["network.sharing=maxmin_inverse_latency", 'network.nodes.ap.latency="0 s"']
    with pytest.raises(SpecError, match=r"fleet\[0\].link.latency: .* is zero"):
        resolve(load_topology(path, overrides=settings))
