"""EcoFed: what split training sends, how long it takes, what it draws and what it learns.

EcoFed and its family beside what its article, the code of its authors and the runs of its first
author on two Raspberry Pi 4 say: bytes, seconds on servers that are not infinitely fast, accuracy
from parts that are pre-trained on other classes, and joules, which are hetsim's own extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.report.numbers import NONE, quantity, significant
from hetsim.report.published import _ecofed_figures as figures
from hetsim.report.published._ecofed_runs import (
    DEFAULT,
    ECOFED,
    Runs,
    fleet_name,
    method_name,
    one,
    ratio,
)
from hetsim.report.published._ecofed_targets import Target, targets
from hetsim.report.published._seeds import spread
from hetsim.report.published._target import NOT_RUN, tally
from hetsim.report.published.base import Chapter, Chart, Grid, Need, Page, Row, Table, Tables, known

_SCALES: dict[str, dict[str, dict[str, Any]]] = {
    "smoke": {
        "split_bytes": {"models": ["resnet9"], "data": ["cifar10"], "workers": 1},
        "split_times": {
            "boards": ["1.35 GMAC/s"], "servers": ["laptop"], "bandwidths": [50.0],
            "clients": [1, 5], "rounds": 2, "fleets": ["campus"], "workers": 1,
        },
        "edpfl": {},
        "split_accuracy": {
            "seeds": [0], "clients": 10, "cohort": 2, "samples": 20, "rounds": 4, "every": 2,
            "test": 100, "source": 100, "epochs": 1, "workers": 1,
        },
        "split_adaptive": {"fleets": ["four Pi 4"], "seeds": [0], "rounds": 2, "workers": 1},
    },
    "small": {
        "split_bytes": {
            "models": ["vgg11_fc3", "resnet9"], "data": ["cifar10", "cifar100"], "workers": 2,
        },
        "split_times": {
            "boards": ["raspberry_pi_4b_edpfl", "raspberry_pi_4b", "1.35 GMAC/s"],
            "servers": ["laptop", "GPU"],
            "bandwidths": [5.0, 10.0, 20.0, 50.0, 75.0, 100.0], "clients": [1, 2, 5, 10, 20],
            "rounds": 20, "fleets": ["pi", "jetson", "campus"], "workers": 2,
        },
        "edpfl": {},
        "split_accuracy": {
            "seeds": [0, 1, 2], "clients": 25, "cohort": 5, "samples": 200, "rounds": 24,
            "every": 4, "test": 4000, "source": 25_000, "epochs": 5, "workers": 2,
        },
        "split_adaptive": {
            "fleets": ["four Pi 4", "four kinds"], "seeds": [0, 1, 2, 3, 4], "rounds": 20,
            "workers": 2,
        },
    },
}  # fmt: skip
_SCALES["full"] = {
    **_SCALES["small"],
    "split_accuracy": {
        "seeds": [0, 1, 2], "clients": 50, "cohort": 10, "samples": 400, "rounds": 100, "every": 5,
        "test": 10_000, "source": 25_000, "epochs": 20, "workers": 2,
    },
}  # fmt: skip
_NETWORKS = {
    ("vgg11_fc3", "cifar10"): "VGG-11, 10 classes", ("resnet9", "cifar10"): "ResNet-9, 10 classes",
    ("vgg11_fc3", "cifar100"): "VGG-11, 100 classes",
    ("resnet9", "cifar100"): "ResNet-9, 100 classes",
}  # fmt: skip
_TO_GOAL = {
    "rounds": 1.0, "simulated_s": 1.0, "device_j": 1e-3, "device_active_j": 1e-3,
    "device_participant_j": 1e-3, "energy_j": 1e-3, "active_j": 1e-3, "participant_j": 1e-3,
    "bytes": 1e-6,
}  # fmt: skip
_TYPICAL = 20.0
"""Mbit/s, about what a Raspberry Pi 4 had in the logged runs: where parts of a round are told."""


class Ecofed:
    """EcoFed and its family: bytes, seconds, joules and accuracy, beside article, code and logs."""

    def needs(self, scale: str) -> Sequence[Need]:
        """Bytes, seconds and joules, the runs on two boards, accuracies, and chosen cuts."""
        return tuple(
            Need(comparison=name, settings=settings) for name, settings in _SCALES[scale].items()
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        found = targets(tables)
        runs = Runs(*(_table(tables, f"accuracy{part}") for part in ("", "_end", "_goal")))
        return Page(
            title="EcoFed and its family",
            lead=_lead(tables, runs, found),
            chapters=(
                _targets(found),
                _bytes(_table(tables, "bytes")),
                _times(_table(tables, "times")),
                _speedups(_table(tables, "speedups")),
                _contention(_table(tables, "contention")),
                _boards(tables),
                _joules(_table(tables, "joules")),
                _accuracy(runs),
                _ablations(runs),
                _adaptive(_table(tables, "adaptive")),
                _method(_SCALES[scale]),
            ),
        )


def _table(tables: Tables, name: str) -> Table:
    return tables.get(name, ())


# --- the finding ----------------------------------------------------------------------------------


def _lead(tables: Tables, runs: Runs, found: Sequence[Target]) -> str:
    said = (
        _said_of_bytes(_table(tables, "bytes")),
        _said_of_boards(_table(tables, "edpfl_ratios")),
        _said_of_speed(_table(tables, "speedups")),
        _said_of_overlap(_table(tables, "times")),
        _said_of_joules(_table(tables, "joules")),
        *_said_of_accuracy(runs),
        f"Targets: {tally(found)}",
    )
    return "\n".join(
        (
            "EcoFed keeps the front of a network on the devices, pre-trained and frozen, sends its "
            "activations in eight bits and every second round only, and trains the back on a "
            "server. Beside it FedAvg, vanilla split learning (DPFL), LGL and FedGKT, with the "
            "settings of the authors' code where nothing else is said.",
            "",
            *(f"- {sentence}" for sentence in said),
            "",
            "A sign counts as seen if it is the same in every seed, and as not seen otherwise. "
            "Numbers of several runs are means with least and highest in brackets. Rebuild with "
            "`hetsim report ecofed`.",
        )
    )


def _said_of_bytes(table: Table) -> str:
    def times(method: str) -> str:
        value = ratio(
            one(table, model="vgg11_fc3", data="cifar10", method=method),
            one(table, model="vgg11_fc3", data="cifar10", **DEFAULT), "mib",
        )  # fmt: skip
        return NOT_RUN if value is None else f"{value:.1f}"

    return (
        f"Bytes, VGG-11 on ten classes: EcoFed sends {times('fedavg')} times less than FedAvg "
        f"(the article: 133) and {times('dpfl')} times less than DPFL (16)."
    )


def _said_of_boards(table: Table) -> str:
    parts = [
        f"{row['ratio']} {row['simulated']:.2f} (measured {row['measured']:.2f}, left open "
        f"{row['low']:.2f} to {row['high']:.2f})"
        for row in table
    ]
    return (
        "Two Raspberry Pi 4, fitted without a run of EcoFed (EDPFL, as the logs call it, played "
        "with overlap as the logged code sends), ratios of seconds a round: "
        f"{'; '.join(parts) or NOT_RUN}. The fit is not blind and rests on what is expected of a "
        "board, see below."
    )


def _said_of_speed(table: Table) -> str:
    parts: list[str] = []
    for device, rows in _by(table, "device"):
        values = known(rows, "fl_over_ecofed")
        parts.append(f"{_low_high(values) if values else NOT_RUN} with {device}")
    return (
        "With a server so fast that EcoFed is 2.86 times as fast as DPFL, how many times as fast "
        f"as FedAvg it is (the article: up to 21): {'; '.join(parts) or NOT_RUN}; least and "
        "highest over the bandwidths, by account of the board."
    )


def _said_of_overlap(table: Table) -> str:
    gains = [
        alone["seconds"] / row["seconds"]
        for row in table
        if row["overlap"] and row["method"] == "ecofed"
        for alone in [one(table, **{**_place(row), "method": "ecofed", "overlap": False})]
        if alone
    ]
    return "Overlap, which the authors' seconds do not have, makes a round of EcoFed " + (
        f"{_low_high(gains)} times as fast." if gains else f"{NOT_RUN}."
    )


def _said_of_joules(table: Table) -> str:
    parts: list[str] = []
    for fleet, rows in _by(table, "fleet"):
        eco, dpfl = one(rows, method="ecofed"), one(rows, method="dpfl")
        each = [
            ratio(dpfl, eco, f"device_{account}_j")
            for account in ("total", "active", "participant")
        ]
        words = "/".join(NONE if value is None else f"{value:.1f}" for value in each)
        parts.append(f"{fleet_name(fleet)} {words}")
    return (
        "Joules, hetsim's own extension: in equally many rounds the devices of DPFL draw this many "
        "times what those of EcoFed draw (total/active/participant): "
        f"{'; '.join(parts) or NOT_RUN}."
    )


def _said_of_accuracy(runs: Runs) -> list[str]:
    return [f"Accuracy, {sign.words}." for sign in runs.signs]


# --- chapters -------------------------------------------------------------------------------------


def _targets(found: Sequence[Target]) -> Chapter:
    return Chapter(
        title="Targets",
        parts=(
            "What is to be reproduced. *Code or logs*: derived from the messages and settings of "
            "the authors' code, or logged in the runs of the first author on two Raspberry Pi 4; a "
            "dash stands where nothing is known. Differences are to the article where it states "
            "the number, to code or logs else.",
            Grid(
                columns=("target", "article", "code or logs", "hetsim", "difference", "wanted",
                         "verdict"),
                rows=[
                    (each.what, each.article, each.derived, each.found, each.difference,
                     each.wanted, each.word)
                    for each in found
                ],
            ),
        ),
    )  # fmt: skip


def _bytes(table: Table) -> Chapter:
    rows = [
        (
            _NETWORKS.get((row["model"], row["data"]), f"{row['model']}, {row['data']}"),
            method_name(row),
            _number(row["paper_mib"], 4), _number(row["mib"], 4),
            _percent_off(row["mib"], row["paper_mib"]),
            _number(row["enrolment_mib"]), _number(row["total_gib"]),
        )
        for row in table
    ]  # fmt: skip
    return _chapter(
        "Bytes",
        "Of a client-round, both ways, for 500 samples in batches of 10 and a cut after two "
        "layers. Beside ours the messages of the authors' code, serialised. *Once*: what a client "
        "is sent when it takes part for the first time, EcoFed's front. The total is of 500 rounds "
        "of 20 clients, without that.",
        table,
        Chart(
            name="bytes", caption="MiB of a client-round, ours (bars) and by the authors' code "
            "(ticks); logarithmic.",
            draw=lambda figure: figures.draw_bytes(figure, table, _NETWORKS), height=4.6,
        ),
        Grid(
            columns=("network", "method", "code, MiB", "hetsim, MiB", "difference", "once, MiB",
                     "total, GiB"),
            rows=rows, source="bytes",
        ),
    )  # fmt: skip


def _times(table: Table) -> Chapter:
    rates = sorted({row["bandwidth_mbit"] for row in table})
    shown = min(rates, key=lambda rate: abs(rate - _TYPICAL), default=_TYPICAL)
    ends = {row["server"] for row in (*table[:1], *table[-1:])}
    rows = [
        (
            row["device"], row["server"], method_name(row) + ", overlap" * row["overlap"],
            *(_number(row[name]) for name in ("seconds", "device_s", "network_s", "server_s")),
        )
        for row in table if row["bandwidth_mbit"] == shown and row["server"] in ends
    ]  # fmt: skip
    return _chapter(
        "Seconds by bandwidth, on servers that are not infinitely fast",
        "Of a client-round of VGG-11, the mean over update and replay, one client alone on a line "
        "without latency; one batch after the other passes device, line and server, as in the "
        "authors' account, and with overlap (dashed; LGL and EcoFed) all three work at once. "
        "*Server*: what an infinitely fast one would save; *network*: what an infinitely fast line "
        f"would save then. The table is of {shown:g} Mbit/s and of the slowest and the fastest "
        "server. Accounts of the board: the profile raspberry_pi_4b_edpfl, which extrapolates what "
        "it moves in memory from smaller networks; raspberry_pi_4b, with the faster software of "
        "another laboratory; and a board that does 1.35e9 multiply-adds a second and nothing else, "
        "as VGG-11 with smaller linear layers was logged (added when the two profiles had missed "
        "the article's 21, and fitted to no ratio of it: of the logged VGG-11's 170 s or so of "
        "training a round raspberry_pi_4b_edpfl makes 189 s and raspberry_pi_4b 87 s).",
        table,
        Chart(
            name="times", caption="Seconds of a client-round by bandwidth; a column a server, a "
            "row an account of the board.",
            draw=lambda figure: figures.draw_times(figure, table), height=7.6,
        ),
        Grid(
            columns=("board", "server", "method", "seconds", "device", "network", "server"),
            rows=rows, source="times",
        ),
    )  # fmt: skip


def _speedups(table: Table) -> Chapter:
    rows = [
        (
            row["device"], f"{row['bandwidth_mbit']:g}",
            *(_number(row[name]) for name in
              ("fitted_server_s", "dpfl_over_ecofed", "fl_over_ecofed", "closed_form_fl")),
            _percent_off(row["fl_over_ecofed"], row["paper_fl"]),
        )
        for row in table
    ]  # fmt: skip
    return _chapter(
        "Speed-ups: the server set from one, the other foretold",
        "Neither links nor server of the article are known. So for each bandwidth the laptop's "
        "profile is made so fast or slow that EcoFed is 2.86 times as fast as DPFL; then it has no "
        "choice left how much faster than FedAvg it is, for which the article has 21. A closed "
        "form, device + bytes over bandwidth + server, stands beside the simulation. What differs "
        "between the boards is above all what training the 34 million parameters in batches of 10 "
        "takes them: where memory traffic is counted at the rate that small networks showed, "
        "FedAvg pays for it and EcoFed does not.",
        table,
        Chart(
            name="speedups", caption="EcoFed over FedAvg by bandwidth with the fitted server; the "
            "band is 21 within 20 %.",
            draw=lambda figure: figures.draw_speedups(figure, table), height=3.6,
        ),
        Grid(
            columns=("board", "Mbit/s", "server's seconds of a client-round", "over DPFL",
                     "over FedAvg", "closed form", "difference to 21"),
            rows=rows, source="speedups",
        ),
    )  # fmt: skip


def _contention(table: Table) -> Chapter:
    rows = [
        (
            str(row["clients"]), _number(row["round_s"]), _number(row["closed_form_s"]),
            _percent_off(row["round_s"], row["closed_form_s"], digits=4),
        )
        for row in table
    ]  # fmt: skip
    return _chapter(
        "A server in demand",
        "Update rounds of EcoFed with as many clients at once on the laptop, until it has trained "
        "on all their activations. A client's batch is s seconds at the server and c on the whole "
        "way: K clients of n batches keep the server busy all the time once K s reaches c, and "
        "take K n s + c - s; else n c + (K - 1) s. The same rounds told batch by batch, one event "
        "after the other, are compared in the tests: the makespan is the same within 0.01 % here, "
        "and within 1.3 % where gradients come back, with 100 to 400 times fewer events from two "
        "clients on.",
        table,
        Grid(
            columns=("clients", "simulated, s", "closed form, s", "difference"), rows=rows,
            source="contention",
        ),
    )  # fmt: skip


def _boards(tables: Tables) -> Chapter:
    fit, runs, rounds, ratios = (
        _table(tables, f"edpfl_{name}") for name in ("fit", "runs", "rounds", "ratios")
    )
    parts: list[str | Grid | Chart] = [
        "Runs of the first author on two Raspberry Pi 4 and a laptop. Unknown properties of "
        "boards, channel and laptop are fitted on the runs of FedAvg and DPFL alone; the range is "
        "what they leave open, and everything foretold has one too.",
        _grid(
            ("unknown", "likeliest", "left open, from", "to", "expected from"),
            [
                (
                    row["unknown"], *(_quantity(row, name) for name in ("best", "low", "high")),
                    row["what"],
                )
                for row in fit
            ],
            "edpfl_fit",
        ),
        _grid(
            ("model", "method", "samples", "logged, s", "simulated, s", "left open, s",
             "logged, MiB", "simulated, MiB", "used for"),
            [
                (
                    row["model"], row["method"], f"{row['samples']:,}",
                    _number(row["measured_s"]), _number(row["simulated_s"]),
                    f"{_number(row['low_s'])} to {_number(row['high_s'])}",
                    _number(row["measured_mib"], 4), _number(row["simulated_mib"], 4),
                    row["used_for"],
                )
                for row in runs
            ],
            "edpfl_runs",
        ),
    ]  # fmt: skip
    if rounds:
        parts.append(
            Chart(
                name="rounds", caption="Rounds of EcoFed on the two boards: logged (dots), "
                "foretold (bars) and the range left open (lines).",
                draw=lambda figure: figures.draw_rounds(figure, rounds), height=3.4,
            )
        )  # fmt: skip
    else:
        parts.append(f"Round by round: {NOT_RUN}.")
    parts.append(
        _grid(
            ("ratio", "logged", "simulated", "left open"),
            [
                (row["ratio"], _number(row["measured"]), _number(row["simulated"]), _from_to(row))
                for row in ratios
            ],
            "edpfl_ratios",
        )
    )
    if other := _table(tables, "edpfl_alternatives"):
        parts += [
            "The same by closed forms if something else is assumed in the fit; the first row is "
            "what is told above. It is not a blind prediction: expected values half-way between "
            "the limits of the hardware, chosen first, foretold a mean round of 6.70 s; the rule "
            "was then changed once, to what the profiles of hetsim say, and kept. VGG-11, which "
            "is not fitted, comes out far too slow: one rate of arithmetic does not hold for both "
            "networks.",
            "What the logs have beside it: 0.3 to 0.8 s of each logged round are a probe of the "
            "devices' speed, and in replay rounds the logged devices read their samples all the "
            "same; neither is simulated. The logged code sends one batch after the other without "
            "waiting for the server, so EDPFL is played with overlap; without it a round takes "
            "longer (see the runs above), outside the tolerance.",
            _grid(
                ("assumption", "mean round, s", "update, s", "replay, s", "VGG-11 FedAvg, s"),
                [
                    (row["assumption"],
                     *(_number(row[name]) for name in
                       ("mean_s", "update_s", "replay_s", "vgg11_s")))
                    for row in other
                ],
                "edpfl_alternatives",
            ),
        ]  # fmt: skip
    return Chapter(title="Two Raspberry Pi 4, from their logs", parts=tuple(parts))


def _joules(table: Table) -> Chapter:
    rows = [
        (
            fleet_name(row["fleet"]), method_name(row), str(row["rounds"]),
            *(
                _number(None if row[name] is None else row[name] * factor)
                for name, factor in (
                    ("device_total_j", 1e-3), ("device_active_j", 1e-3),
                    ("device_participant_j", 1e-3), ("server_j", 1e-3), ("link_j", 1e-3),
                    ("seconds", 1.0), ("bytes", 1e-6),
                )
            ),
            str(row["dropped"]),
        )
        for row in table
    ]  # fmt: skip
    return _chapter(
        "Joules by method: hetsim's own extension, not of the paper",
        "Neither article nor code has a word on energy. Equal rounds of every method on 20 "
        "Raspberry Pi 4 (raspberry_pi_4b_edpfl) and 20 Jetson Nano on one Wi-Fi cell, 4 of them a "
        "round, with VGG-11; and on the 40 devices of `topologies/split_campus.yaml`, 8 of them a "
        "round, with ResNet-9, which the smallest of them can train whole. Nothing is learned "
        "here, so this is not at equal accuracy; see below for that. *Total*: everything that "
        "devices draw, idle ones too, for as long as it takes. *Active*: above base power. "
        "*Participant*: all that a device draws from being asked to its last act. *Dropped*: "
        "participations that ended because a device left. A board without "
        "a sleep state, such as the Raspberry Pi, draws in a replay round what it draws idle.",
        table,
        Chart(
            name="joules", caption="Kilojoules of the devices in equal rounds, three accounts "
            "(hetsim's own extension); logarithmic.",
            draw=lambda figure: figures.draw_joules(figure, table), height=3.8,
        ),
        Grid(
            columns=("fleet", "method", "rounds", "devices, total, kJ", "active, kJ",
                     "participant, kJ", "server, kJ", "network, kJ", "seconds", "MB", "dropped"),
            rows=rows, source="joules",
        ),
    )  # fmt: skip


def _accuracy(runs: Runs) -> Chapter:
    rows = [
        (
            name,
            *(
                spread(found.values(), factor)
                for found, factor in (
                    (runs.late(name), 100.0), (runs.ends(name, "best"), 100.0),
                    (runs.early(name), 100.0), (runs.ends(name, "simulated_s"), 1.0),
                    (runs.ends(name, "device_j"), 1e-3),
                )
            ),
        )
        for name in runs.methods
    ]  # fmt: skip
    goal = NONE if runs.goal is None else f"{100 * runs.goal:.0f} %"
    return _chapter(
        "Accuracy against time and against joules",
        "Five classes of CIFAR-10; fronts and networks are pre-trained on pictures of the other "
        "five, none of which any client holds or any test asks for. *Early* is the mean over the "
        "scores in the first half of the rounds, *at the end* that over the last three scores. "
        "*Fine-tuning* is FedAvg from the same pre-trained network, for what a frozen front loses. "
        "The boards are raspberry_pi_4b_edpfl on one Wi-Fi cell of 33 Mbit/s, the server is a "
        "laptop (framework13_amd). Joules are hetsim's own extension.",
        runs.curves,
        Chart(
            name="accuracy", caption="Test accuracy against simulated time and against the joules "
            "of the devices (total). Bold: the first seed; thin: the others.",
            draw=lambda figure: figures.draw_accuracy(figure, runs), height=4.4,
        ),
        Grid(
            columns=("method", "at the end, %", "best, %", "early, %", "simulated, s",
                     "devices, total, kJ"),
            rows=rows, source="accuracy",
        ),
        f"To {goal}, the highest whole percent that every method reaches with every seed; each run "
        "ends at its first score there. Joules: all that was drawn (total), what was drawn above "
        "base power (active), and what was drawn from being asked to the last needed act "
        "(participant).",
        Grid(
            columns=("method", "rounds", "seconds", "devices, kJ: total", "active", "participant",
                     "all nodes, kJ: total", "active", "participant", "MB"),
            rows=[
                (
                    name,
                    *(
                        spread(runs.to_goal(name, column).values(), factor)
                        for column, factor in _TO_GOAL.items()
                    ),
                )
                for name in runs.methods
            ],
            source="accuracy_goal",
        ),
        _grid(
            ("sign", "seen", "difference by seed, points"),
            [(sign.what, sign.verdict, sign.points) for sign in runs.signs],
        ),
    )  # fmt: skip


def _ablations(runs: Runs) -> Chapter:
    base = runs.late(ECOFED)
    rows = [
        (
            name,
            spread(found.values(), 100.0),
            spread([found[seed] - base[seed] for seed in found.keys() & base.keys()], 100.0),
            spread(runs.bytes(name).values(), 1e-6),
            spread(runs.ends(name, "simulated_s").values()),
        )
        for name in runs.variants
        for found in [runs.late(name)]
    ]
    return _chapter(
        "Ablations: period, bits, pre-training",
        "EcoFed with one setting changed at a time, same seeds. Bytes are of the whole run, all "
        "clients, with the front that each gets once.",
        rows,
        Chart(
            name="ablations", caption="Accuracy at the end, a dot a seed, against the bytes of a "
            "run; logarithmic.",
            draw=lambda figure: figures.draw_ablations(figure, runs), height=3.8,
        ),
        Grid(
            columns=("EcoFed", "at the end, %", "beside the default, points", "MB a run",
                     "simulated, s"),
            rows=rows, source="accuracy",
        ),
    )  # fmt: skip


def _adaptive(table: Table) -> Chapter:
    places: dict[tuple[str, str, str], list[Row]] = {}
    for row in table:
        places.setdefault((row["network"], row["fleet"], row["plan"]), []).append(row)
    return _chapter(
        "Cuts chosen device by device",
        "ResNet-12 under DPFL with the same cut for all, whole on the devices (FedAvg), and with a "
        "cut for each device that is chosen, and reviewed as bandwidths change, from its profile, "
        "its bandwidth and the server's load: *fastest*, or *thriftiest* for its joules. 500 "
        "samples a device, all devices in every round, a laptop as the server, seconds and joules "
        "of the whole run; joules are those of participants. The four kinds are Raspberry Pi 3B+, "
        "4 and 5 and a Jetson Nano. On *4g* each device has a bandwidth of its own from the seeded "
        "generator fitted to the Lumos5G traces, the same both ways (assumed); several seeds. The "
        "best cut for all, in the targets, is the best of each seed, which nobody knows before.",
        table,
        Grid(
            columns=("network", "fleet", "plan", "seconds", "devices, participant, kJ"),
            rows=[
                (*place, spread(known(rows, "seconds")), spread(known(rows, "device_j"), 1e-3))
                for place, rows in places.items()
            ],
            source="adaptive",
        ),
    )  # fmt: skip


def _method(settings: Mapping[str, Mapping[str, Any]]) -> Chapter:
    learned = settings["split_accuracy"]
    return Chapter(
        title="How it was done, and what is assumed",
        parts=(
            '- The article: Wu et al., "EcoFed: Efficient Communication for DNN Partitioning-based '
            'Federated Learning", IEEE TPDS 35(3), 2024, arXiv 2304.05495. Only its abstracts were '
            "at hand, so its figures here are its four headline ratios. Algorithm, settings and "
            "messages are those of the authors' code, github.com/blessonvar/EcoFed@bb1c516; the "
            "logs are of github.com/wonderDiWu/EDPFL_IEEE_Seasonal_School_2026.\n"
            "- Abstracts and code do not say: the bandwidths, the server, the kind of Raspberry "
            "Pi, how long anything took, watts. So bandwidth and server are swept, and one ratio "
            "sets the server before the other is foretold.\n"
            "- Networks are reconstructed so that parameters and multiply-adds are those of the "
            "code. Batch normalisation uses the statistics of the batch, also in tests; momentum "
            "starts afresh each round; replays are of any client that has ever sent.\n"
            "- The authors' code repeats the transfer of each first batch three times to time it. "
            "These repeats are not counted, in bytes or seconds; with them DPFL over EcoFed would "
            "be about 17 instead of 16.15 in bytes.\n"
            "- FedGKT on 100 classes: the 22.58 MiB beside ours count logits of ten classes; with "
            "those of one hundred the messages are 22.92 MiB.\n"
            "- Bytes, seconds and joules are of runs in which nothing is learned, on made-up "
            "samples in the shape of CIFAR's, 3 x 32 x 32; their values change no byte and no "
            "second. CIFAR-100 is such samples in 100 classes.\n"
            "- Servers: laptop is the profile framework13_amd, GPU rtx3090; infinitely fast is "
            "the laptop a billion times as fast. A fitted server is "
            "the laptop with arithmetic, memory and launches all faster or slower by one factor, "
            "which is assumed.\n"
            "- Accuracy: "
            f"{learned['clients']} clients of {learned['samples']} pictures, "
            f"{learned['cohort']} a round, {learned['rounds']} rounds, "
            f"{len(learned['seeds'])} seed{'s' * (len(learned['seeds']) > 1)}, ResNet-12 with 1.27 "
            "million parameters, five runs of label-sorted pictures a client, scored on "
            f"those of {learned['test']:,} test pictures that show one of the task's five classes, "
            "about half. The authors have 100 clients of 500, 500 rounds, VGG-11, random crops and "
            "flips, and fronts pre-trained for 100 epochs on ImageNet or Tiny ImageNet; here there "
            f"is no augmentation, and at most {learned['source']:,} pictures of the other five "
            f"classes for {learned['epochs']} epoch{'s' * (learned['epochs'] > 1)}. So signs are "
            "compared, and no accuracy.\n"
            "- Pre-training is charged to nobody; a device pays for the front that it downloads "
            "once.",
        ),
    )


# --- words ----------------------------------------------------------------------------------------


def _chapter(title: str, words: str, rows: Sequence[Any], *parts: str | Grid | Chart) -> Chapter:
    """A chapter that says so where there is nothing to show."""
    return Chapter(title=title, parts=(words, *(parts if rows else (f"{NOT_RUN.capitalize()}.",))))


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], source: str = "") -> Grid | str:
    if not rows:
        return f"{source or columns[0]}: {NOT_RUN}."
    return Grid(columns=columns, rows=rows, source=source)


def _by(table: Table, name: str) -> list[tuple[str, list[Row]]]:
    """Rows by a column, in order of appearance."""
    groups: dict[str, list[Row]] = {}
    for row in table:
        groups.setdefault(row[name], []).append(row)
    return list(groups.items())


def _place(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("device", "bandwidth_mbit", "server")}


def _number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else significant(value, digits)


def _quantity(row: Row, name: str) -> str:
    unit = str(row["unit"])
    return _number(row[name]) if unit == "1" else quantity(row[name], unit)


def _from_to(row: Row) -> str:
    return f"{_number(row['low'])} to {_number(row['high'])}"


def _low_high(values: Sequence[float]) -> str:
    low, high = significant(min(values)), significant(max(values))
    return low if low == high else f"{low} to {high}"


def _percent_off(found: float | None, wanted: float | None, digits: int = 2) -> str:
    if found is None or not wanted:
        return NONE
    return f"{100 * (found / wanted - 1.0):+.{digits}f} %"
