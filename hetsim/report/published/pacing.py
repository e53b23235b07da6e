"""Pacing to a deadline on measured sweeps: joules against the bound, deadlines kept, and racing.

Two boards were measured at every clock setting, so what a policy could have saved is known. Here
hetsim's own `deadline_feedback` is played on these sweeps, told a tenth of them, beside the exact
bound, the governors of an operating system, and the two simplest rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any

from hetsim.report.numbers import NONE, significant
from hetsim.report.published import _pacing_figures as figures
from hetsim.report.published._bofl_published import words_of
from hetsim.report.published._pacing_targets import (
    FEEDBACK,
    KINDS,
    Target,
    cell_of,
    flipping,
    targets,
)
from hetsim.report.published._target import tally
from hetsim.report.published.base import (
    Chapter,
    Chart,
    Grid,
    Need,
    Page,
    Row,
    Table,
    Tables,
    column,
)

_RATIOS = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 4.0)
_SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"sweeps": ["tx2_imdb"], "ratios": [1.1, 2.0], "seeds": [4]},
    "small": {"ratios": list(_RATIOS), "seeds": [4, 5, 6]},
    "full": {"ratios": list(_RATIOS), "seeds": list(range(4, 14))},
}
_ORACLE, _SINGLE = "deadline_oracle", "best_single"
_SHOWN_RATIO, _RESTED_RATIOS = 2.0, (1.2, 1.5, 2.0, 4.0)
"""Deadlines whose resting powers are drawn, and printed."""


class Pacing:
    """Pacing to deadlines on measured sweeps: near the bound, disturbed, and with power at rest."""

    def needs(self, scale: str) -> Sequence[Need]:
        """Every sweep at every deadline."""
        return (Need(comparison="pacing", settings=_SCALES[scale]),)

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        runs, shaken, idle = (tables[name] for name in ("pacing", "disturbed", "idle"))
        found = targets(tables)
        return Page(
            title="Pacing to a deadline",
            lead=_lead(runs, shaken, idle, found),
            chapters=(
                _targets(found),
                _joules(runs),
                _deadlines(runs),
                _seeds(runs, shaken),
                _disturbed(shaken),
                _rest(idle),
                _racing(idle),
                _method(runs),
            ),
        )


# --- the finding ----------------------------------------------------------------------------------


def _lead(runs: Table, shaken: Table, idle: Table, found: Sequence[Target]) -> str:
    sentences = (
        _said_of_regret(runs),
        _said_of_saving(runs),
        _said_of_disturbance(shaken),
        _said_of_rest(idle),
        _said_of_tuning(runs),
        f"Targets: {tally(found)}",
    )
    return "\n".join(
        (
            "A device has a job of so many minibatches and a deadline. It may run at its highest "
            "clocks and rest, or slower, or mix settings of CPU, GPU and memory clocks so that it "
            "is done just in time with the fewest joules. `governor: deadline_feedback` does the "
            "last from a profile of the device, which may be wrong, and corrects itself by what "
            "it measures. How near it comes to the best that could be done is seen on boards that "
            "were measured at every setting, four sweeps in all.",
            "",
            *(f"- {sentence}" for sentence in sentences),
            "",
            "Rebuild with `hetsim report pacing`. BoFL, which explores instead of starting from a "
            "profile, and `deadline_feedback` on its tasks: [BoFL](../bofl/index.md).",
        )
    )


def _said_of_regret(runs: Table) -> str:
    rows, single = _of(runs, FEEDBACK), _of(runs, _SINGLE)
    worst = max(rows, key=lambda row: row["regret"])
    met, of = (sum(column(rows, name)) for name in ("met", "of"))
    return (
        f"With a profile fitted to a tenth of a sweep, `deadline_feedback` takes "
        f"{_percent(rows, 'regret')} % more joules than the exact bound with perfect knowledge, "
        f"{100.0 * worst['regret']:.2f} % in the worst of {len(rows)} cells ({cell_of(worst)}), "
        f"and meets {met:,} of {of:,} deadlines. The best single setting, chosen with perfect "
        f"knowledge, takes {_percent(single, 'regret')} % more than the bound."
    )


def _said_of_saving(runs: Table) -> str:
    savings = {
        ratio: _percent(_of(runs, FEEDBACK, ratio=ratio), "saving_performance")
        for ratio in _ratios(runs)
    }
    words = ", ".join(f"{value} % at {ratio:g}" for ratio, value in savings.items())
    rows = _of(runs, "schedutil")
    paces = [row["busy"] * row["ratio"] for row in rows]
    met, of = (sum(column(rows, name)) for name in ("met", "of"))
    return (
        f"Against the highest clocks it saves, by deadline over the fastest time: {words}. "
        f"`schedutil` knows no deadline: it takes {min(paces):.2f} to {max(paces):.2f} times the "
        f"fastest whatever there is time for, and meets {met:,} of {of:,}. Where it is in time, "
        f"`deadline_feedback` saves {_on_schedutil(runs)} % of its joules."
    )


def _said_of_disturbance(shaken: Table) -> str:
    ours, plan = (
        [_of(shaken, policy, kind=kind) for kind in KINDS] for policy in (FEEDBACK, _ORACLE)
    )
    words = [f"{_met(rows)} with {name}" for rows, name in zip(ours, KINDS.values(), strict=True)]
    return (
        "When speed is off by up to 20 % in a way that nobody foresees, it meets, of the deadlines "
        f"that the highest clocks meet under the same draw, {' and '.join(words)}. The bound's "
        "plan, made for the board undisturbed and not corrected, meets "
        f"{' and '.join(_met(rows) for rows in plan)}."
    )


def _said_of_rest(idle: Table) -> str:
    rows = flipping(idle)
    below = [row["racing_flip_w"] < 0.0 for row in idle if row["racing_flip_w"] is not None]
    text = (
        "With resting power counted, stopping early gives way to stretching the job to its "
        f"deadline in {_flipped(rows)}."
        if rows
        else "At these deadlines stopping early and stretching are the same."
    )
    return (
        f"{text} Racing at the highest clocks to rest afterwards would need a resting power below "
        f"zero to be cheaper than stopping early, in {sum(below)} of {len(below)} rows."
    )


def _flipped(rows: Sequence[Row]) -> str:
    watts = {(row["sweep"], row["ratio"]): row["flip_w"] for row in rows}
    return (
        f"each of the {len(watts)} cells of sweep and deadline in which they differ, at "
        f"{min(watts.values()):.2f} to {max(watts.values()):.2f} W"
    )


def _said_of_tuning(runs: Table) -> str:
    return (
        "Two settings of the rule were chosen on these sweeps: `hope` = 2 with the tenths of "
        "seeds 1 to 3, `caution` = 2.5 with those of seeds 0 and 1. What is shown here uses other "
        f"tenths, seeds {_listed(column(runs, 'seed'))}, on the same boards. The tenths of seed 4 "
        "were once looked at before the last two corrections of the rule, which a made-up board "
        "had called for; those of later seeds never."
    )


# --- chapters -------------------------------------------------------------------------------------


def _targets(found: Sequence[Target]) -> Chapter:
    return Chapter(
        title="Targets",
        parts=(
            "A cell is a sweep, a deadline and a random tenth, with 20 jobs one after the other. "
            "The first four are bounds that were set before the first run; the others are checks "
            "of the account.",
            Grid(
                columns=("target", "found", "worst cell", "wanted", "verdict"),
                rows=[
                    (each.what, each.found, each.worst, each.wanted, each.word) for each in found
                ],
            ),
        ),
    )


def _joules(runs: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for sweep, ratio in _cells(runs):
        ours, util = (_of(runs, name, sweep, ratio) for name in (FEEDBACK, "schedutil"))
        [top, single, bound] = (
            _of(runs, name, sweep, ratio)[0] for name in ("performance", _SINGLE, _ORACLE)
        )
        rows.append((
            words_of(sweep), f"{ratio:g}", f"{top['joules']:,.1f}",
            _saved(bound), _saved(single), _percent(ours, "saving_performance"),
            _percent(util, "saving_performance"), _percent(ours, "saving_schedutil"),
            _percent(ours, "regret"), f"{100.0 * max(column(ours, 'regret')):.2f}",
            _percent(ours, "first_regret"), _in_time(ours), _in_time(util),
        ))  # fmt: skip
    return Chapter(
        title="Joules by deadline",
        parts=(
            "*Highest*: joules of a job at the highest clocks, until it is done; `race_to_idle` "
            "does the same. Savings in percent of that, and of schedutil's joules in the last of "
            "them, which means little where schedutil is late. *Oracle*: the exact mix with the "
            "fewest joules in time. *Single*: the cheapest setting in time. Both know the whole "
            "sweep. *Above oracle*: of all jobs, in the mean and in the worst tenth, and of the "
            "first job alone. Joules of the two boards are not of one kind: the TX2's are those "
            "of its module, the Xavier's the sum of four channels that is likely to leave out a "
            "rail.",
            Chart(
                name="joules",
                caption="Joules of a job over those at the highest clocks; means over tenths.",
                draw=lambda figure: figures.draw_joules(figure, runs),
                height=figures.height(runs),
            ),
            Grid(
                columns=("task", "deadline", "highest, J", "oracle saves, %", "single, %",
                         "feedback, %", "schedutil, %", "feedback against schedutil, %",
                         "above oracle, %", "worst", "first job", "in time", "schedutil in time"),
                rows=rows, source="pacing",
            ),
        ),
    )  # fmt: skip


def _deadlines(runs: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for ratio in _ratios(runs):
        ours, single, util = (
            _of(runs, name, ratio=ratio) for name in (FEEDBACK, _SINGLE, "schedutil")
        )
        rows.append((
            f"{ratio:g}", _percent(ours, "saving_performance"),
            _on_schedutil([*ours, *util]), _percent(ours, "regret"),
            f"{100.0 * max(column(ours, 'regret')):.2f}", _percent(single, "regret"),
            _in_time(ours), _in_time(util),
        ))  # fmt: skip
    return Chapter(
        title="All sweeps together",
        parts=(
            "Tight deadlines are the hard ones: few settings are fast enough, each step of speed "
            "costs much, and who plans to be done at the last moment has to keep some time back. "
            "Where the cheapest setting of a sweep is in time, oracle and single are the same and "
            f"nothing is left to decide. {_said_of_schedutil(runs)}",
            Grid(
                columns=("deadline", "saved on highest clocks, %",
                         "on schedutil where that is in time, %", "above oracle, %", "worst",
                         "single above oracle, %", "in time", "schedutil in time"),
                rows=rows,
            ),
        ),
    )  # fmt: skip


def _said_of_schedutil(runs: Table) -> str:
    cheaper = [
        row for row in _of(runs, "schedutil") if row["saving_performance"] > _saving(runs, row)
    ]
    late = sum(row["met"] < row["of"] for row in cheaper)
    return (
        f"schedutil takes fewer joules than deadline_feedback in {len(cheaper)} of "
        f"{len(_of(runs, 'schedutil'))} cells, and is late in {late} of these."
    )


def _saving(runs: Table, row: Row) -> float:
    [ours] = [
        each for each in _of(runs, FEEDBACK, row["sweep"], row["ratio"])
        if each["seed"] == row["seed"]
    ]  # fmt: skip
    return ours["saving_performance"]


def _on_schedutil(runs: Table) -> str:
    """Percent saved on schedutil in the cells in which that is in time."""
    util = _of(runs, "schedutil")
    timely = {(row["sweep"], row["ratio"], row["seed"]) for row in util if row["met"] == row["of"]}
    rows = [
        row for row in _of(runs, FEEDBACK)
        if (row["sweep"], row["ratio"], row["seed"]) in timely
    ]  # fmt: skip
    return _percent(rows, "saving_schedutil") if rows else NONE


def _seeds(runs: Table, shaken: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for seed in dict.fromkeys(column(runs, "seed")):
        ours = [row for row in _of(runs, FEEDBACK) if row["seed"] == seed]
        moved = [row for row in _of(shaken, FEEDBACK) if row["seed"] == seed]
        rows.append((
            str(seed), _percent(ours, "regret"), f"{100.0 * max(column(ours, 'regret')):.2f}",
            _in_time(ours), _met(moved),
        ))  # fmt: skip
    return Chapter(
        title="By tenth",
        parts=(
            "What was chosen on other tenths of the same sweeps could fit these boards better "
            "than new ones. That cannot be told from these tables; boards that were made up, with "
            "other coefficients and noise, are paced in hetsim's tests to the same bounds.",
            Grid(
                columns=("seed of the tenth", "above oracle, %", "worst", "in time",
                         "disturbed, of those the highest clocks meet"),
                rows=rows,
            ),
        ),
    )  # fmt: skip


def _disturbed(shaken: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for kind, ratio in ((kind, ratio) for kind in KINDS for ratio in _ratios(shaken)):
        here = [row for row in shaken if (row["kind"], row["ratio"]) == (kind, ratio)]
        top, ours, util, single, bound = (
            [row for row in here if row["policy"] == name]
            for name in ("performance", FEEDBACK, "schedutil", _SINGLE, _ORACLE)
        )
        spent = mean(
            mine["joules"] / theirs["joules"] for mine, theirs in zip(ours, top, strict=True)
        )
        rows.append((
            KINDS[kind], f"{ratio:g}",
            f"{sum(column(top, 'all_met')):,} of {sum(column(top, 'jobs')):,}",
            *(_met(part) for part in (ours, single, bound, util)), f"{100.0 * (1.0 - spent):.2f}",
        ))  # fmt: skip
    return Chapter(
        title="With a speed that nobody knows",
        parts=(
            "The time of each minibatch is divided by a factor drawn evenly from 0.8 to 1.2, one "
            "a job or one a minibatch, the same draw for every policy; watts stay as they are. "
            "One a job decides at once whether the highest clocks can be in time, so fewer "
            "deadlines are counted; 200 a job all but cancel out, but the last of them come when "
            "there is no time to correct, and caution costs joules. Nobody is told of the draw. "
            "Single and oracle plan for the board undisturbed, oracle looking again where it "
            "changes its setting: their columns say what a perfect plan is worth that is not "
            "corrected. The last column is of all jobs, in time or not.",
            Chart(
                name="disturbed",
                caption="Deadlines met of all, all sweeps and tenths.",
                draw=lambda figure: figures.draw_disturbed(figure, shaken),
                height=4.2,
            ),
            Grid(
                columns=("disturbance", "deadline", "performance meets", "of these feedback",
                         "single", "oracle", "schedutil", "feedback saves, %"),
                rows=rows, source="disturbed",
            ),
        ),
    )  # fmt: skip


def _rest(idle: Table) -> Chapter:
    rows = [
        (
            words_of(row["sweep"]), f"{row['ratio']:g}", f"{100.0 * row['idle_share']:.0f}",
            f"{row['watts']:.2f}",
            *(f"{row[name]:,.1f}" for name in
              ("racing_j", "early_j", "late_j", "pacing_j", "feedback_j")),
            _cheaper(row), _watts(row["flip_w"]),
        )
        for row in idle
        if row["ratio"] in _RESTED_RATIOS
    ]  # fmt: skip
    shown: list[Chart] = []
    if any(row["ratio"] == _SHOWN_RATIO for row in idle):
        shown.append(
            Chart(
                name="rest",
                caption="Joules until a deadline of twice the fastest, by resting power.",
                draw=lambda figure: figures.draw_rest(figure, idle, _SHOWN_RATIO),
                height=figures.height(idle),
            )
        )
    return Chapter(
        title="With power at rest",
        parts=(
            "A device that is done rests until the deadline, at 0, 50 or 100 % of the lowest "
            "power in its sweep (no board was measured at rest). Of two ways to do a job by the "
            "deadline D, one of e joules in t seconds and a slower one of E in T, the faster "
            "takes fewer joules with P watts at rest where e + P (D - t) < E + P (D - T), so\n\n"
            "    P < (E - e) / (T - t)\n\n"
            "*Early*: the mix with the fewest joules until the work is done, then rest. "
            "*Stretched*: the mix that is best if rest takes as much as the lowest power, so that "
            "stopping gains nothing. *Best*: the exact mix by e - P t, which is what "
            "`deadline_oracle` and `deadline_feedback` plan by when they are told P; near the flip "
            f"it is cheaper than both. *Feedback*: one tenth; {_said_of_told(idle)} *Flips at*: by "
            "the formula; the target above compares that with jobs played at powers found by "
            "halving. Where the time is short, early and stretched are the same or differ by the "
            "rounding to whole minibatches. Other deadlines are in the file.",
            *shown,
            Grid(
                columns=("task", "deadline", "rest, % of lowest", "W", "racing, J", "early, J",
                         "stretched, J", "best, J", "feedback, J", "cheaper", "flips at, W"),
                rows=rows, source="idle",
            ),
        ),
    )  # fmt: skip


def _said_of_told(idle: Table) -> str:
    above = [row["feedback_j"] / row["pacing_j"] - 1.0 for row in idle]
    return (
        f"{100.0 * mean(above):.2f} % above the best in the mean over all deadlines and powers, "
        f"{100.0 * max(above):.2f} % at worst."
    )


def _racing(idle: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for sweep in dict.fromkeys(column(idle, "sweep")):
        here = [row for row in idle if row["sweep"] == sweep and row["idle_share"] == 0.0]
        flips = [row["racing_flip_w"] for row in here if row["racing_flip_w"] is not None]
        lowest = max(row["watts"] for row in idle if row["sweep"] == sweep)
        row = here[0]
        rows.append((
            words_of(sweep), f"{lowest:.2f}", f"{min(flips):.1f} to {max(flips):.1f}",
            f"{-max(flips):.1f}", f"{100.0 * (1.0 - row['fastest_s'] / row['racing_s']):.2f}",
            f"{100.0 * (1.0 - row['fastest_j'] / row['racing_j']):.2f}",
        ))  # fmt: skip
    return Chapter(
        title="Why racing does not win",
        parts=(
            "Put racing at the highest clocks (e, t) beside stopping early (E, T) in the same "
            "formula. Racing is faster and takes more joules, E - e < 0, so it wins only with P "
            "below zero: never, whatever the device draws at rest. Each watt at rest makes racing "
            "dearer still, because it rests longest. What racing is said to save, the power that "
            "a board draws in any case while it works, is in the joules of the sweep already: at "
            "the highest clocks it is paid for fewer seconds, and the job is still dearer.\n\n"
            "Racing pays where work draws a power Q that is in no row of the sweep and ends with "
            "the work (a rail that was not measured, a peripheral that is switched off). Then e + "
            "Q t stands for e, and racing beats stopping early from\n\n"
            "    Q > (e - E) / (T - t)\n\n"
            "on, the same number with the other sign, more than the lowest power of the whole "
            f"sweep on {_dear(rows)} of {len(rows)} sweeps. Even then another way is better where "
            "some setting is both faster and cheaper than the highest clocks: the last two columns "
            "set the fastest setting beside them.",
            Grid(
                columns=("task", "lowest power of the sweep, W", "racing wins with P below, W",
                         "or with Q above, W, at least", "fastest setting is faster by, %",
                         "cheaper by, %"),
                rows=rows, source="idle",
            ),
        ),
    )  # fmt: skip


def _dear(rows: Sequence[Sequence[str]]) -> int:
    return sum(float(row[3]) > float(row[1]) for row in rows)


def _method(runs: Table) -> Chapter:
    jobs = max(column(runs, "of"))
    return Chapter(
        title="Method, and what is assumed",
        parts=(
            "The sweeps are those of BoFL's authors (Guo et al., Middleware 2022, "
            "github:hongpeng-guo/BoFL@c89944d): seconds and joules of a minibatch at every clock "
            f"setting. Jobs of 200 minibatches, {jobs} one after the other at one deadline, of "
            f"{', '.join(f'{each:g}' for each in _ratios(runs))} times the fastest setting's time. "
            f"A random tenth of the rows, seeds {_listed(column(runs, 'seed'))}, is fitted as by "
            "`hetsim calibrate`; that is what policies believe of the other rows, and measuring "
            "it is not charged. How good such a profile is: [physics](../physics/index.md). The "
            "seed is that of the disturbance too.",
            "- Assumed: switching clocks takes neither time nor joules; a minibatch takes what its "
            "row says, every time; the rows left out are true, though the authors took each from "
            "ten minibatches.\n"
            "- Assumed: `schedutil` is where the simulated governor settles by the fitted profile, "
            "for GPU and memory clocks too, which Linux governs otherwise.\n"
            "- Assumed: disturbance changes speed and leaves watts, so joules go with time; a real "
            "disturbance (heat, other work) changes both.\n"
            "- `deadline_feedback` carries what it learns from job to job, never from deadline to "
            "deadline here. Its rule is hetsim's own; the guard is of BoFL's kind.\n"
            "- Counts of minibatches are whole, and the bound is the exact integer mix.\n"
            "- The highest clocks are not always the fastest setting of a sweep; the fastest "
            "setting sets deadlines, the highest clocks are what savings refer to.",
        ),
    )


# --- parts ----------------------------------------------------------------------------------------


def _of(
    table: Table, policy: str, sweep: str = "", ratio: float = 0.0, kind: str = ""
) -> list[Row]:
    """Rows of a policy, and of a sweep, a deadline and a disturbance where these are given."""
    return [
        row for row in table
        if row["policy"] == policy and sweep in ("", row["sweep"])
        and ratio in (0.0, row["ratio"]) and kind in ("", row.get("kind"))
    ]  # fmt: skip


def _cells(table: Table) -> Iterator[tuple[str, float]]:
    yield from dict.fromkeys((row["sweep"], row["ratio"]) for row in table)


def _ratios(table: Table) -> list[float]:
    return list(dict.fromkeys(column(table, "ratio")))


def _percent(rows: Sequence[Row], name: str) -> str:
    return f"{100.0 * mean(column(rows, name)):.2f}"


def _saved(row: Row) -> str:
    return f"{100.0 * row['saving_performance']:.2f}"


def _in_time(rows: Sequence[Row]) -> str:
    return f"{sum(column(rows, 'met')):,} of {sum(column(rows, 'of')):,}"


def _met(rows: Sequence[Row]) -> str:
    met, of = (sum(column(rows, name)) for name in ("met", "of"))
    return f"{met:,} of {of:,} ({100.0 * met / of:.1f} %)" if of else NONE


def _cheaper(row: Row) -> str:
    if row["flip_w"] is None:
        return "same"
    return {"early": "early", "late": "stretched", "racing": "racing"}[row["choice"]]


def _watts(value: float | None) -> str:
    return NONE if value is None else significant(value, 4)


def _listed(seeds: Sequence[int]) -> str:
    found = [str(each) for each in dict.fromkeys(seeds)]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
