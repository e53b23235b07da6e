"""Physics: simulated seconds and joules beside measurements, oracles and closed forms.

Everything hetsim claims about time and energy is compared with something that is not hetsim: an
independent network simulator, packets, exact solutions, a numerical integration of the same
equations, published measurements of devices, and logs of two boards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log10
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from hetsim.report.numbers import significant
from hetsim.report.paper import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PLUM
from hetsim.report.published.base import (
    Chapter,
    Chart,
    Grid,
    Need,
    Page,
    Row,
    Table,
    Tables,
    appearing,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 24
_COUNTS = {
    "smoke": {"histories": 20, "seeds": 1},
    "small": {"histories": 1000, "seeds": 5},
    "full": {"histories": 10_000, "seeds": 5},
}
_TARGETS = {"agx": (1.5, 3.0), "tx2": (2.0, 3.0)}
"""Largest error of time and energy from a tenth of a sweep, in percent, by board."""
_DESIGNED = (5.0, 6.0)
_CARRIED = {1: (12.0, 7.0), 8: (9.0, 7.0)}
_EXCESS, _MET = 0.03, 0.98
_ORACLE = 1e-6
_SPEED = 0.15
_FLOOR = 1e-17
"""Errors of zero are drawn here on a logarithmic axis."""


class Physics:
    """Simulated seconds and joules beside measurements, oracles and closed forms."""

    def needs(self, scale: str) -> Sequence[Need]:
        """Every comparison; the smoke scale fits one sweep and tells one pair of workloads."""
        count = _COUNTS[scale]
        sweeps = {"sweeps": ["tx2_imdb"]} if scale == "smoke" else {}
        return (
            Need(comparison="network"),
            Need(comparison="closed_forms"),
            Need(comparison="histories", settings={"count": count["histories"]}),
            Need(
                comparison="calibration",
                settings={"seeds": count["seeds"], "points": _POINTS, **sweeps},
            ),
            Need(
                comparison="transfer",
                settings={"points": [8] if scale == "smoke" else [1, 8]},
            ),
            Need(comparison="devices", settings={"file": "tests/measurements.yaml"}),
            Need(comparison="two_pis"),
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        chapters = (
            _network(tables["network"]),
            _closed_forms(tables["closed_forms"]),
            _histories(tables["histories"]),
            _packets(tables["packets"]),
            _calibration(tables["calibration"]),
            _transfer(tables["transfer"]),
            _devices(tables["devices"]),
            _two_pis(tables),
        )
        return Page(title="Physics that can be trusted", lead=_lead(tables), chapters=chapters)


def _lead(tables: Tables) -> str:
    network, histories = tables["network"], _judged(tables["histories"])
    devices = [row for row in tables["devices"] if not row["calibration"]]
    errors = [abs(row["time_error"]) for row in devices if row["time_error"] is not None]
    tenth = [row for row in tables["calibration"] if row["choice"] == "a tenth"]
    return (
        "How far simulated seconds and joules are from what they stand for. The engine itself is "
        f"exact: {sum(row['activities'] for row in network):,} activities of {len(network)} "
        "scenarios agree with an independent simulator to "
        f"{_power(max(row['times'] for row in network))} in time and "
        f"{_power(max(row['joules'] for row in network))} in joules, and {len(histories):,} random "
        "histories with heat, batteries, contention and faults agree with a numerical integration "
        f"of the same equations to {_power(max(_worst(row) for row in histories))}. What is left "
        "is the error of the numbers that describe devices: on published measurements that no "
        f"profile was fitted on, time is off by {_percent(median(errors))} in the median. Where a "
        "tenth of a board's clock settings can be measured, `hetsim calibrate` tells the others to "
        f"{mean(row['time'] for row in tenth):.1f} % in time and "
        f"{mean(row['energy'] for row in tenth):.1f} % in joules, in the mean.\n\n"
        "Rebuild with `hetsim report physics`; check your own data with `hetsim validate network`, "
        "`hetsim validate devices` and `hetsim calibrate`."
    )


# --- the engine -----------------------------------------------------------------------------------


def _network(table: Table) -> Chapter:
    models = dict.fromkeys(row["model"] for row in table)
    rows: list[Sequence[str]] = []
    for model in models:
        part = [row for row in table if row["model"] == model]
        rows.append(_oracle_row(model, part))
    rows.append(_oracle_row("all", table))
    return Chapter(
        title="Shared links and processors, against an independent simulator",
        parts=(
            "Random networks with full and half duplex links, flow caps, changing bandwidths, "
            "clocks that change, nodes that stop and work that is cancelled. Times are relative "
            "to an activity's duration (at least 1 ms), joules relative. The answers are those of "
            "SimGrid 4.1, whose own energy has an error of 1.9e-8 against a second solver.",
            Grid(
                columns=("sharing model", "scenarios", "activities", "worst time", "worst joules",
                         f"within {_ORACLE:g}"),
                rows=rows, source="network",
            ),
            Chart(
                name="network", caption="Worst relative error of each scenario; zero is drawn at "
                "the left edge.",
                draw=lambda figure: _draw_errors(
                    figure.subplots(), {"time": [row["times"] for row in table],
                                        "joules": [row["joules"] for row in table]},
                    _ORACLE, "scenarios",
                ),
                height=3.0,
            ),
        ),
    )  # fmt: skip


def _oracle_row(name: str, part: Table) -> Sequence[str]:
    return (
        name, str(len(part)), f"{sum(row['activities'] for row in part):,}",
        _power(max(row["times"] for row in part)), _power(max(row["joules"] for row in part)),
        _verdict(all(row["passed"] for row in part)),
    )  # fmt: skip


def _closed_forms(table: Table) -> Chapter:
    kinds = {
        "thermal_rc": "heat: RC to ambient",
        "thermal_throttle": "heat: throttling with hysteresis",
        "battery_kibam": "battery: two wells (KiBaM)",
        "battery_linear": "battery: tank, discharged and charged",
        "equal_flows": "equal flows on one link",
    }
    rows = [
        (
            words,
            str(len(part := [row for row in table if row["type"] == kind])),
            _power(max((row["error"] for row in part), default=0.0)),
            _verdict(bool(part) and max(row["error"] for row in part) <= _ORACLE),
        )
        for kind, words in kinds.items()
    ]
    return Chapter(
        title="Heat and batteries, against exact solutions",
        parts=(
            "Every number of every case: temperatures, crossing times, charge, ends.",
            Grid(
                columns=("", "numbers", "worst relative error", f"within {_ORACLE:g}"),
                rows=rows, source="closed_forms",
            ),
        ),
    )  # fmt: skip


def _histories(table: Table) -> Chapter:
    judged = _judged(table)
    columns = {
        "times": "end of a job, relative to its duration",
        "progress": "share of a job that was done",
        "energy": "joules of a machine",
        "charge": "charge of a battery",
        "temperature": "temperature, relative to the rise above ambient",
        "ledger": "battery against the ledger (conservation)",
    }
    rows = [
        (
            words,
            _power(median(row[name] for row in judged)),
            _power(max(row[name] for row in judged)),
        )
        for name, words in columns.items()
    ]
    wrong = sum(row["outcomes"] for row in judged)
    least = min(row["least"] for row in judged)
    return Chapter(
        title="Everything at once, against a numerical integration",
        parts=(
            f"{len(judged):,} random histories: up to four machines with several clocks, three "
            "kinds of battery, chargers, heat with trip points, Wi-Fi, LTE or Ethernet, and "
            "bandwidths, clocks, pauses, outages and departures at random times. A program that "
            "shares no code with the engine integrates the same equations (DOP853, relative "
            "tolerance 1e-13, restarted at every event). Jobs that ended in another way: "
            f"{wrong}. Smallest joules, charge or progress anywhere: {least:g}. Left out because a "
            "threshold was only grazed, so that rounding decides on both sides: "
            f"{len(table) - len(judged)}.",
            Grid(columns=("largest difference in a history", "median", "worst"), rows=rows,
                 source="histories"),
            Chart(
                name="histories",
                caption="Largest difference of each history; zero is drawn at the left edge.",
                draw=lambda figure: _draw_errors(
                    figure.subplots(), {"all quantities": [_worst(row) for row in judged]},
                    _ORACLE, "histories",
                ),
                height=3.0,
            ),
        ),
    )  # fmt: skip


def _judged(table: Table) -> list[Row]:
    return [row for row in table if not row["grazing"]]


def _worst(row: Row) -> float:
    return max(row[name] for name in ("times", "progress", "energy", "charge", "temperature"))


def _packets(table: Table) -> Chapter:
    models = appearing(table, "model")
    scenarios = appearing(table, "scenario")
    found = {(row["scenario"], row["model"]): row for row in table}
    rows: list[Sequence[str]] = []
    for name in scenarios:
        pair = [found[name, model] for model in models]
        rows.append((
            name, str(pair[0]["flows"]), *(f"{each['mean']:.3f}" for each in pair),
            *(f"{each['makespan']:.2f}" for each in pair),
        ))  # fmt: skip
    means = [mean(row["mean"] for row in table if row["model"] == model) for model in models]
    rows.append(("mean", "", *(f"{each:.3f}" for each in means), *[""] * len(models)))
    return Chapter(
        title="Fluid flows beside packets",
        parts=(
            "What a fluid model leaves out: headers, slow start, losses. TCP Cubic, packet by "
            "packet (ns-3.37), on the same links: mean of |ln(ours / theirs)| over the durations "
            "of the flows, and the ratio of the makespans. Reported, not judged.",
            Grid(
                columns=("scenario", "flows", *(f"{m}: mean error" for m in models),
                         *(f"{m}: makespan" for m in models)),
                rows=rows, source="packets",
            ),
        ),
    )  # fmt: skip


# --- devices --------------------------------------------------------------------------------------


def _calibration(table: Table) -> Chapter:
    sweeps = appearing(table, "sweep")
    choices = appearing(table, "choice")
    rows: list[Sequence[str]] = []
    for sweep in sweeps:
        for choice in choices:
            part = [row for row in table if (row["sweep"], row["choice"]) == (sweep, choice)]
            limits = _limits(sweep, choice)
            time, energy = (mean(row[name] for row in part) for name in ("time", "energy"))
            rows.append((
                sweep, choice, str(part[0]["fitted"]), str(len(part)),
                f"{mean(row['physics_time'] for row in part):.2f}",
                f"{mean(row['physics_energy'] for row in part):.2f}",
                f"{time:.2f}", f"{energy:.2f}",
                f"{limits[0]:g} / {limits[1]:g}" if limits else "reported",
                _verdict(time <= limits[0] and energy <= limits[1]) if limits else "",
            ))  # fmt: skip
    return Chapter(
        title="A device from a part of its DVFS sweep",
        parts=(
            "Two boards, two training workloads each, every setting of CPU, GPU and memory clock "
            "(github:hongpeng-guo/BoFL@c89944d). Some settings are fitted, all others held out and "
            "looked at once. Mean absolute error in percent, mean over seeds: of the physics form "
            "alone, and with a Gaussian process on what it leaves, where cross-validation inside "
            "the fitted settings says that it pays. The form was developed on these four sweeps.",
            Grid(
                columns=("sweep", "fitted", "settings", "seeds", "time, physics",
                         "energy, physics", "time", "energy", "target", "met"),
                rows=rows, source="calibration",
            ),
            Chart(
                name="calibration",
                caption="Error on settings that were not fitted; each dot a seed.",
                draw=lambda figure: _draw_calibration(figure, table, sweeps, choices),
                height=3.6,
            ),
        ),
    )  # fmt: skip


def _limits(sweep: str, choice: str) -> tuple[float, float] | None:
    if choice == "a tenth":
        return _TARGETS.get(sweep.partition("_")[0])
    return _DESIGNED if choice.endswith("designed") else None


def _draw_calibration(
    figure: Figure, table: Table, sweeps: Sequence[str], choices: Sequence[str]
) -> None:
    colours = dict(zip(choices, (BLUE, GREY, ORANGE), strict=False))
    for axes, name in zip(figure.subplots(1, 2), ("time", "energy"), strict=True):
        for row in table:
            shift = 0.22 * (choices.index(row["choice"]) - (len(choices) - 1) / 2)
            axes.plot(
                row[name],
                sweeps.index(row["sweep"]) + shift,
                "o",
                color=colours[row["choice"]],
                markersize=5,
                alpha=0.8,
            )
        axes.set_yticks(range(len(sweeps)), sweeps, color=INK)
        axes.set(xlim=(0, None), xlabel=f"error of {name}, %", ylim=(len(sweeps) - 0.5, -0.5))
    handles = [figure.axes[0].plot([], [], "o", color=c, label=n)[0] for n, c in colours.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False,
                  fontsize=8.5, labelcolor=MUTED)  # fmt: skip


def _transfer(table: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for count in appearing(table, "points"):
        part = [row for row in table if row["points"] == count]
        limits = _CARRIED[count]
        for row in part:
            good = 100 * row["time"] <= limits[0] and 100 * row["energy"] <= limits[1]
            rows.append((
                f"{row['source']} to {row['target']}", str(count),
                f"{100 * row['time']:.1f}", f"{100 * row['energy']:.1f}",
                f"{limits[0]:g} / {limits[1]:g}", _verdict(good),
                f"{100 * row['excess']:.1f}", f"{100 * row['met']:.0f}",
            ))  # fmt: skip
        excess, met = (mean(row[name] for row in part) for name in ("excess", "met"))
        rows.append((
            "mean", str(count), f"{100 * mean(row['time'] for row in part):.1f}",
            f"{100 * mean(row['energy'] for row in part):.1f}", "", "",
            f"{100 * excess:.1f} ({_verdict(excess <= _EXCESS)})",
            f"{100 * met:.0f} ({_verdict(met >= _MET)})",
        ))  # fmt: skip
    return Chapter(
        title="Another workload from a few settings",
        parts=(
            "A sweep of the board under one workload, and one or eight measured settings of "
            "another (the first at full speed, the others named by the tool): the error on all "
            "other settings, in percent, beside its target. Then, for fifteen deadlines from 1.2 "
            "to 4 times the fastest minibatch, the setting that the prediction chooses with a "
            "margin of its own error: joules above those of the best setting (target: at most "
            f"{100 * _EXCESS:g} %), and deadlines met (at least {100 * _MET:g} %). Development "
            "results: the form was chosen looking at these pairs.",
            Grid(
                columns=("workloads", "settings", "time", "energy", "target", "met",
                         "excess joules, %", "deadlines met, %"),
                rows=rows, source="transfer",
            ),
        ),
    )  # fmt: skip


def _devices(table: Table) -> Chapter:
    names = ("time", "power", "energy")

    def grid(calibration: bool) -> Grid:
        part = [row for row in table if row["calibration"] is calibration]
        rows = []
        for group in sorted({row["group"] for row in part if _predicted(row)}):
            cells = []
            for name in names:
                found = [row[f"{name}_error"] for row in part if row["group"] == group]
                errors = [abs(error) for error in found if error is not None]
                cells.append(f"{_percent(mean(errors))} ({len(errors)})" if errors else "")
            rows.append((group, *cells))
        return Grid(columns=("group", *names), rows=rows, source="devices")

    lost = [row for row in table if not _predicted(row)]
    left_out = "; ".join(f"{row['row']} ({row['device']}): {row['not_predicted']}" for row in lost)
    return Chapter(
        title="Device profiles beside published measurements",
        parts=(
            "Mean absolute error of what a profile says before anyone measures, and the number of "
            "rows. No profile was fitted on these rows.",
            grid(calibration=False),
            "Rows that a profile was fitted on, or that share a table with those; they are no "
            "evidence.",
            grid(calibration=True),
            f"Not predicted: {left_out}." if lost else "Every row is predicted.",
            Chart(
                name="devices", caption="Relative error of each row; open: fitted on it.",
                draw=lambda figure: _draw_devices(figure, table), height=4.6,
            ),
        ),
    )  # fmt: skip


def _predicted(row: Row) -> bool:
    return any(row[f"{name}_error"] is not None for name in ("time", "power", "energy"))


def _draw_devices(figure: Figure, table: Table) -> None:
    axes = figure.subplots()
    groups = sorted({row["group"] for row in table if _predicted(row)})
    for shift, (name, colour) in enumerate(
        {"time": BLUE, "power": ORANGE, "energy": GREEN}.items(), start=-1
    ):
        for row in table:
            error = row[f"{name}_error"]
            if error is not None:
                axes.plot(
                    100 * error,
                    groups.index(row["group"]) + 0.22 * shift,
                    "o",
                    color=colour,
                    markersize=5,
                    fillstyle="none" if row["calibration"] else "full",
                    alpha=0.8,
                )
        axes.plot([], [], "o", color=colour, label=name)
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks(range(len(groups)), groups, color=INK)
    axes.set(ylim=(len(groups) - 0.5, -0.5), xlabel="predicted beside measured, %")
    axes.legend(frameon=False, labelcolor=MUTED, fontsize=8.5, loc="lower right")


def _two_pis(tables: Tables) -> Chapter:
    speeds, forecasts = tables["pi_speed"], tables["pi_forecast"]
    trajectory, [heat] = tables["pi_trajectory"], tables["pi_heat"]
    good = [abs(row["median_error"]) <= _SPEED for row in speeds]
    faster = all(row["factor"] < 1.0 for row in speeds)
    return Chapter(
        title="Two Raspberry Pi 4, one with a broken fan",
        parts=(
            "Logs of the same jobs on both (github:yeeiia/Hardware-Course-Project@053a6df), told "
            "in aggregates. A factor of speed, fitted on one shared job, tells the other; target: "
            f"within {100 * _SPEED:g} %.",
            Grid(
                columns=("fitted on", "tried on", "hot over cooled, s a sample", "median round",
                         "worst round", "met"),
                rows=[
                    (row["fitted"], row["tried"], f"{row['factor']:.3f}",
                     _signed(row["median_error"]), _signed(row["largest_error"]), _verdict(ok))
                    for row, ok in zip(speeds, good, strict=True)
                ],
                source="pi_speed",
            ),
            ("In these short jobs the hot board is the faster one. " if faster else "")
            + "No sign is claimed for the long ones, whose logs of the hot board are not at hand; "
            "what would be expected of them is published here, before they are seen:",
            Grid(
                columns=("job", "cooled (logged), s a round", "hot: low", "middle", "high"),
                rows=[
                    (row["job"], *(f"{row[name]:,.0f}" for name in
                                   ("cooled_s", "low_s", "middle_s", "high_s")))
                    for row in forecasts
                ],
                source="pi_forecast",
            ),
            f"Heat, as trajectory. Resistance {heat['resistance_k_per_w']:.1f} K/W and capacity "
            f"{heat['capacity_j_per_k']:.0f} J/K were fitted on a job in which the board did not "
            f"throttle (root mean square {heat['rms_k']:.1f} K); then the engine played jobs in "
            "which it did, with the trip points of the profile. Watts were not measured, so the "
            "resistance is one per the profile's watts.",
            Grid(
                columns=("board", "job", "quarter", "logged, °C", "simulated, °C",
                         "time lost, logged", "simulated", "held back", "mean clock"),
                rows=[
                    (row["board"], row["job"], str(row["quarter"]), f"{row['temperature_c']:.1f}",
                     f"{row['simulated_c']:.1f}", _percent(row["lost"]),
                     _percent(row["simulated_lost"]), _percent(row["held_back"]),
                     f"{row['simulated_hz'] / 1e9:.2f} GHz")
                    for row in trajectory
                ],
                source="pi_trajectory",
            ),
            Chart(
                name="two_pis", caption="Means over quarters of a job: logged and simulated.",
                draw=lambda figure: _draw_pis(figure, trajectory), height=3.2,
            ),
        ),
    )  # fmt: skip


def _draw_pis(figure: Figure, table: Table) -> None:
    jobs = list(dict.fromkeys((row["board"], row["job"]) for row in table))
    left, right = figure.subplots(1, 2)
    for job, colour in zip(jobs, (BLUE, PLUM), strict=False):
        part = [row for row in table if (row["board"], row["job"]) == job]
        quarters = [row["quarter"] for row in part]
        name = f"{job[0]}, {job[1][:18]}"
        left.plot(quarters, [row["temperature_c"] for row in part], "o", color=colour)
        left.plot(quarters, [row["simulated_c"] for row in part], color=colour, label=name)
        right.plot(quarters, [100 * row["lost"] for row in part], "o", color=colour)
        right.plot(quarters, [100 * row["simulated_lost"] for row in part], color=colour)
    for axes, label in ((left, "temperature, °C"), (right, "time lost, %")):
        axes.set_xticks(range(1, 5))
        axes.set(xlabel="quarter of the job; dots: logged, lines: simulated", ylabel=label)
    figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize=8.5, labelcolor=MUTED)


# --- words and lines ------------------------------------------------------------------------------


def _draw_errors(axes: Axes, errors: dict[str, Iterable[float]], limit: float, what: str) -> None:
    """Histograms of relative errors on a logarithmic axis, with the limit."""
    bins = [_FLOOR * 10 ** (step / 2) for step in range(26)]
    drawn: Any = [[max(error, _FLOOR) for error in each] for each in errors.values()]
    axes.hist(drawn, bins, label=list(errors), color=[BLUE, ORANGE][: len(errors)])
    axes.set_xscale("log")
    axes.axvline(limit, color=PLUM, linewidth=1, linestyle=(0, (5, 4)))
    axes.set(xlabel="relative error", ylabel=what)
    axes.legend(frameon=False, labelcolor=MUTED, fontsize=8.5)


def _power(error: float) -> str:
    """An error as people read it: 2.6e-11."""
    if not error:
        return "0"
    exponent = int(log10(error) // 1)
    return f"{error / 10**exponent:.1f}e{exponent:d}"


def _percent(share: float) -> str:
    return f"{significant(100 * share)} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _verdict(good: bool) -> str:
    return "yes" if good else "**no**"
