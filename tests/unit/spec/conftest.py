"""A small valid topology with its profile, to be read as it is or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

PROFILE = """\
title: A board
class: sbc
power_scope: wall
leaves_out: nothing
memory:
  capacity: {value: "4 GiB", source: "data sheet"}
  reserved: {value: "400 MiB", assumed: "a usual system"}
power:
  idle: {value: "2 W", source: "measured"}
  sleep: {value: "1 W", source: "measured"}
  off: {value: "0 W", assumed: "unplugged"}
compute:
  domains:
    cpu:
      kind: cpu
      flops_per_cycle: {value: 4, derived: "fit"}
      points:
        source: "measured"
        columns: [frequency, power]
        rows: [["1 GHz", "2 W"]]
"""

TOPOLOGY = """\
name: small
seed: 3
fleet:
  - {profile: board, count: 2, link: {rate: "40 Mbit/s"}}
  - profile: board
    name: phone
    link: {up: "5 Mbit/s", down: "50 Mbit/s", latency: "40 ms"}
    battery: none
    data: none
    governor: {name: fixed, cpu: "800 MHz"}
network: wifi
server: board
task: {data: digits, model: {name: mlp, hidden: [32]}}
method: {name: fedprox, mu: 0.2, epochs: 2}
stop: {rounds: 5}
"""


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    """The file `small.yaml`; its profile lies beside it."""
    (tmp_path / "board.yaml").write_text(PROFILE)
    path = tmp_path / "small.yaml"
    path.write_text(TOPOLOGY)
    return path
