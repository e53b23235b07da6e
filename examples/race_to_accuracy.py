"""Which of two methods gets a small fleet to 85 % first, and which with fewer joules?"""

from pathlib import Path
from tempfile import TemporaryDirectory

import hetsim as hs

FLEET = """
name: race
fleet:
  - {profile: raspberry_pi_4b, count: 6, link: {rate: "40 Mbit/s"}}
  - {profile: raspberry_pi_zero_2_w, count: 2, link: {rate: "10 Mbit/s"}}
network: wifi
server: core_ultra_265k
task: {data: digits, model: logistic, partition: {name: dirichlet, alpha: 0.3}}
method: {epochs: 2, lr: 0.1}
stop: {rounds: 12}
report: {targets: [0.85]}
"""

with TemporaryDirectory() as folder:
    topology = Path(folder) / "race.yaml"
    topology.write_text(FLEET)
    for method in ("fedavg", "fednova"):
        run = hs.run(
            topology, overrides=[f"method.name={method}"], out=f"runs/race-{method}", force=True
        )
        seconds, joules = run.summary["time_to"]["0.85"], run.summary["energy_to"]["0.85"]
        reached = "not reached" if seconds is None else f"{seconds:6.1f} s {joules:8.1f} J"
        print(f"{method:8} {reached}, best accuracy {run.rounds['accuracy'].max():.3f}")
