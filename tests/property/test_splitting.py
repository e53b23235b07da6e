"""Cuts that are chosen are never worse than the best of those that are the same for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.trace import Trace
from hetsim.learn.lab import CostOnlyLab
from hetsim.spec.schema import load_topology
from hetsim.spec.world import resolve

DEVICES = (
    "raspberry_pi_4b", "raspberry_pi_3b_plus", "raspberry_pi_zero_2_w", "pixel_6", "pixel_3",
    "jetson_nano", "jetson_tx2",
)  # fmt: skip
SERVERS = ("spec_server_6", "framework13_amd", "raspberry_pi_5", "core_ultra_265k")
MODELS = {"{name: small_cnn, width: 16}": 4, "resnet8": 5, "{name: mlp, hidden: [64, 64, 32]}": 4}
"""Models and their blocks."""
SGD = "batch: 10, lr: 0.01, momentum: 0.9"
rates = st.floats(0.3, 3.0).map(lambda exponent: f"{10**exponent:.3g} Mbit/s")


@dataclass(frozen=True)
class Fleet:
    """A world in which nothing changes, and where all take part."""

    text: str
    blocks: int

    def play(self, method: str) -> Trace:
        """Two rounds, nothing learned."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "fleet.yaml"
            path.write_text(self.text, encoding="utf-8")
            spec = load_topology(path, overrides=(f"method={{name: {method}, {SGD}}}",))
            return resolve(spec, None).play(CostOnlyLab())

    def fixed(self) -> list[Trace]:
        """The same cut for all, whichever; and no cut, which is FedAvg."""
        cuts = [self.play(f"dpfl, cut: {cut}") for cut in range(1, self.blocks)]
        return [*cuts, self.play("fedavg")]


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    count = draw(st.integers(1, 5))
    devices = "\n".join(
        f"  - {{profile: {draw(st.sampled_from(DEVICES))}, name: d{index}, "
        f'link: {{to: {draw(st.sampled_from(("lan", "ap", "cell")))}, rate: "{draw(rates)}"}}}}'
        for index in range(count)
    )
    model = draw(st.sampled_from(list(MODELS)))
    text = f"""\
fleet:
{devices}
network:
  nodes:
    ap: {{technology: wifi}}
    cell: {{technology: lte}}
    lan: {{technology: ethernet}}
  links:
    - {{between: [ap, lan], bandwidth: "{draw(rates)}", latency: "1 ms"}}
    - {{between: [cell, lan], bandwidth: "1 Gbit/s", latency: "12 ms"}}
server: {{profile: {draw(st.sampled_from(SERVERS))}, at: lan}}
task: {{data: {{name: digits, train: {draw(st.sampled_from([200, 600]))}, test: 50}}, \
model: {model}, partition: iid}}
selection: {{name: random, cohort: {count}}}
stop: {{rounds: 2}}
cost_only: true
"""
    return Fleet(text, MODELS[model])


def seconds(trace: Trace) -> float:
    return trace.summary["simulated_s"]


def joules(trace: Trace) -> float:
    """What devices drew from being asked to their last act."""
    return sum(row["participant_j"] for row in trace.devices if row["role"] == "device")


@settings(max_examples=20)
@given(fleets())
def test_chosen_cuts_are_as_good_as_the_best_fixed_one(fleet: Fleet) -> None:
    fixed = fleet.fixed()
    assert seconds(fleet.play("dpfl, cut: fastest")) <= 1.02 * min(map(seconds, fixed))
    assert joules(fleet.play("dpfl, cut: thriftiest")) <= 1.02 * min(map(joules, fixed))
