"""Stored answers of cost-only runs: a change of physics shows up here, to be reviewed like code.

`pytest tests/golden --update-golden` (or `make golden`) rewrites them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.study.simulate import Settings, run

ANSWERS = Path(__file__).with_name("answers.json")
_BOFL = (6, 13)
"""Groups of `jetson_deadline` that bofl governs."""
CASES = {
    "iot_mix": ("topologies/iot_mix.yaml", ("stop.rounds=8",)),
    "iot_mix performance": (
        "topologies/iot_mix.yaml",
        ("stop.rounds=4", "governor=performance", "pace.deadline=20 s"),
    ),
    "jetson_dvfs": ("topologies/jetson_dvfs.yaml", ()),
    "phones_lte": ("topologies/phones_lte.yaml", ()),
    "pi_lab": ("topologies/pi_lab.yaml", ("stop.rounds=2",)),
    "split_campus": ("topologies/split_campus.yaml", ("stop.rounds=4",)),
    "split_campus fastest": (
        "topologies/split_campus.yaml",
        ("stop.rounds=2", "method={name: dpfl, cut: fastest}"),
    ),
    "jetson_deadline": (
        "topologies/jetson_deadline.yaml",
        # without what learns by linear algebra, whose last bits differ between processors
        tuple(f"fleet[{place}].governor=deadline_feedback" for place in _BOFL),
    ),
    "stitch_low_end": (
        "topologies/stitch_low_end.yaml",
        ("method.winners=[plain_cnn@0.35/1, plain_cnn@0.35/2, wide_cnn@0.25/3, wide_cnn@0.25/4]",),
    ),
    "iot_mix heterofl": ("topologies/iot_mix.yaml", ("stop.rounds=2", "method.name=heterofl")),
    "edge_levels": ("topologies/edge_levels.yaml", ("stop.rounds=3",)),
    "million": (
        "topologies/million.yaml",
        (
            *(f"fleet[{place}].count=400" for place in range(10)),
            "task.data.train=40000",
            "selection.cohort=200",
            "stop.rounds=3",
        ),
    ),
    **{
        f"edge_levels {name}": (
            "topologies/edge_levels.yaml",
            ("stop.rounds=2", f"method={{name: {name}, {options}}}"),
        )
        for name, options in {
            "fedhm": "epochs: 2, batch: 10",
            "fedlp": "scheme: heterogeneous, preserve: 0.5, epochs: 2, batch: 10",
            "split_mix": "epochs: 2, batch: 10",
            "spatl": "epochs: 2, batch: 10",
        }.items()
    },
}


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, tmp_path: Path, update_golden: bool) -> None:
    topology, overrides = CASES[case]
    result = run(
        topology,
        out=tmp_path / "run",
        overrides=("cost_only=true", *overrides),
        settings=Settings(report=False),
    )
    summary = result.summary
    answer = {
        "trace_hash": summary["trace_hash"],
        "simulated_s": summary["simulated_s"],
        "energy_j": summary["energy_j"],
        "dropouts": summary["dropouts"],
        "spans": len(result.trace.spans),
    }
    stored = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    if update_golden:
        stored[case] = answer
        ANSWERS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
    assert stored.get(case) == answer, f"{case} changed; if meant so: make golden, and review"
