"""BoFL: joules saved by pacing to a deadline, on the tasks and sweeps of its authors.

The authors of BoFL published what a training step takes at every clock setting of two boards, so
their result can be had again to the joule where nothing is drawn at random, and within what another
seed moves where their optimiser draws. Beside it `deadline_feedback` on the same tasks, a second
account with what a device draws at rest, and what the abstract claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any

from hetsim.report.numbers import NONE
from hetsim.report.published import _bofl_figures as figures
from hetsim.report.published._bofl_published import CLAIM, PUBLISHED, RATIOS, words_of
from hetsim.report.published._bofl_targets import Target, of, spread, targets
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
    appearing,
    column,
)

_SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"sweeps": ["tx2_imdb"], "ratios": [2.0, 4.0], "seeds": 1},
    "small": {"ratios": list(RATIOS), "seeds": 3},
    "full": {"ratios": list(RATIOS), "seeds": 10},
}
_NAMES = {"performant": "Performant", **figures.POLICIES, "oracle_told": "Oracle, told of rest"}
_RESTED = "TX2 at rest"


class Bofl:
    """BoFL on its authors' sweeps, to the joule, and deadline_feedback on the same tasks."""

    def needs(self, scale: str) -> Sequence[Need]:
        """The replay of every sweep at every ratio of deadlines."""
        return (Need(comparison="bofl", settings=_SCALES[scale]),)

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        found = targets(tables)
        runs, facts = tables["bofl_runs"], tables["bofl_facts"]
        return Page(
            title="BoFL: pacing to a deadline",
            lead=_lead(runs, facts, found),
            chapters=(
                _targets(found),
                _energy(runs),
                _exploring(runs, tables["bofl_rounds"]),
                _measured(runs, facts, tables["bofl_points"]),
                _feedback(runs),
                _claim(runs, facts),
                _rest(tables["bofl_idle"]),
                _differences(),
                _method(_SCALES[scale]),
            ),
        )


# --- the finding ----------------------------------------------------------------------------------


def _lead(runs: Table, facts: Table, found: Sequence[Target]) -> str:
    sentences = (
        _said_of_saving(runs),
        _said_of_exactness(found),
        _said_of_feedback(runs),
        _said_of_claim(runs, facts),
        f"Targets: {tally(found)}",
    )
    return "\n".join(
        (
            "A client of federated learning has to do so many minibatches a round, before a "
            "deadline that changes from round to round. BoFL (Guo et al., Middleware 2022) finds "
            "by Bayesian optimisation, inside the rounds, which clocks of CPU, GPU and memory are "
            "worth using, and then mixes those it knows so that each round ends in time with the "
            "fewest joules. Its authors measured every setting of two boards. Here their policy is "
            "a governor of hetsim (`governor: bofl`) and their sweeps decide what it gets.",
            "",
            *(f"- {sentence}" for sentence in sentences),
            "",
            "Rebuild with `hetsim report bofl`.",
        )
    )


def _said_of_saving(runs: Table) -> str:
    rows = of(runs, "bofl")
    ours = column(rows, "saving_percent")
    cells = {(row["sweep"], row["ratio"]) for row in runs if _cell(row)}
    theirs = [PUBLISHED[sweep].saving(ratio) for sweep, ratio in cells]
    same = column([row for row in rows if _cell(row)], "saving_percent")
    beside = (
        f" Where its authors' runs are known it is {mean(same):.2f} % in the mean, theirs "
        f"{mean(theirs):.2f} %."
        if theirs
        else ""
    )
    return (
        f"Against the highest clocks BoFL saves {mean(ours):.2f} % of the joules "
        f"({min(ours):.2f} to {max(ours):.2f} by run), {_mean(rows, 'regret_percent')} % more than "
        f"the bound with perfect knowledge.{beside}"
    )


def _said_of_exactness(found: Sequence[Target]) -> str:
    judged = [each for each in found if each.verdict is not None and "saving, " not in each.what]
    return (
        "What draws nothing from an optimiser is as published or derived in "
        f"{sum(bool(each.verdict) for each in judged)} of {len(judged)} checks: deadlines, joules "
        "at the highest clocks, the bound, one setting a round, the front, the first settings and "
        "what they cost, missed deadlines."
    )


def _said_of_feedback(runs: Table) -> str:
    first, tenth = of(runs, "feedback_first"), of(runs, "feedback_tenth")
    misses = sum(row["misses"] for row in (*first, *tenth))
    rounds = sum(row["met"] + row["misses"] for row in (*first, *tenth))
    return (
        f"hetsim's own `deadline_feedback` takes {_mean(first, 'regret_percent')} % more than the "
        "bound when it knows only what BoFL tries first, tried and charged in the same rounds, and "
        f"{_mean(tenth, 'regret_percent')} % when a tenth of the sweep is known before, at no "
        f"charge; BoFL {_mean(of(runs, 'bofl'), 'regret_percent')} %. It misses {misses} of "
        f"{rounds:,} deadlines."
    )


def _said_of_claim(runs: Table, facts: Table) -> str:
    best = max((row["saving_percent"] for row in of(runs, "bofl")), default=0.0)
    above = sum(
        max(row["saving_percent"] for row in of(runs, "oracle", fact["sweep"])) >= CLAIM
        for fact in facts
    )
    return (
        f'The abstract\'s "around {CLAIM:.0f} %" is in no run: the best of ours saves '
        f"{best:.2f} %, of theirs {_best_stored():.2f} %. Even the bound gets there on {above} of "
        f"{len(facts)} sweeps."
    )


# --- chapters -------------------------------------------------------------------------------------


def _targets(found: Sequence[Target]) -> Chapter:
    return Chapter(
        title="Targets",
        parts=(
            "*Stored*: in the result files of the authors' program (github:hongpeng-guo/BoFL@"
            "c89944d), 100 rounds a cell, one run each. *Derived*: computed from their sweeps "
            "independently of hetsim, by integer programs of a general solver and by replaying "
            "their random numbers. The sweeps are rounded to a microsecond and a microjoule, which "
            "the tolerances include. Differences are shares where no unit is said.",
            Grid(
                columns=("target", "source", "known", "hetsim", "difference", "wanted", "verdict"),
                rows=[
                    (each.what, each.source, each.known, each.found, each.difference, each.wanted,
                     each.word)
                    for each in found
                ],
            ),
        ),
    )  # fmt: skip


def _energy(runs: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for sweep, ratio in _cells(runs):
        ours = of(runs, "bofl", sweep, ratio)
        known = PUBLISHED[sweep].cells.get(ratio) if sweep in PUBLISHED else None
        stored = PUBLISHED[sweep].saving(ratio) if known else None
        rows.append((
            words_of(sweep), f"{ratio:g}",
            *(f"{_only(runs, name, sweep, ratio)['joules']:,.1f}" for name in
              ("performant", "best_single", "oracle")),
            f"{mean(column(ours, 'joules')):,.1f}",
            f"{_only(runs, 'oracle', sweep, ratio)['saving_percent']:.2f}",
            spread(column(ours, "saving_percent")),
            NONE if stored is None else f"{stored:.2f}",
            f"{mean(column(ours, 'regret_percent')):.2f}",
            f"{100 * (known.bofl / known.oracle - 1):.2f}" if known else NONE,
            f"{mean(column(ours, 'regret_after_percent')):.2f}",
            f"{known.regret_after:.2f}" if known else NONE,
        ))  # fmt: skip
    return Chapter(
        title="Joules",
        parts=(
            "100 rounds. *Performant*: the highest clocks. *Single*: in each round the cheapest "
            "setting that is fast enough, known to whoever knows the sweep; what Oracle saves "
            "beyond it is what mixing buys. *Oracle*: the exact mix with the fewest joules in "
            "time. *Regret*: BoFL's joules over Oracle's; *after*, in the rounds after exploring. "
            "Joules of the two boards are not of one kind: the TX2's are those of its module, the "
            "Xavier's the sum of four channels that is likely to leave out a rail.",
            Chart(
                name="savings",
                caption="Joules saved against the highest clocks; means over seeds.",
                draw=lambda figure: figures.draw_savings(figure, runs),
                height=figures.height(runs),
            ),
            Grid(
                columns=("task", "ratio", "Performant, J", "single, J", "Oracle, J", "BoFL, J",
                         "Oracle saves, %", "BoFL saves, %", "authors, %", "regret, %",
                         "authors, %", "after, %", "authors, %"),
                rows=rows, source="bofl_runs",
            ),
        ),
    )  # fmt: skip


def _exploring(runs: Table, rounds: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for sweep, ratio in _cells(runs):
        ours = of(runs, "bofl", sweep, ratio)
        known = PUBLISHED[sweep].cells.get(ratio) if sweep in PUBLISHED else None
        rows.append((
            words_of(sweep), f"{ratio:g}",
            _range(column(ours, "observed")), _range(column(ours, "unique")),
            f"{known.observed} ({known.unique})" if known else NONE,
            f"{_range(column(ours, 'rounds_1'))} + {_range(column(ours, 'rounds_2'))}",
            f"{known.rounds_1} + {known.rounds_2}" if known else NONE,
            str(ours[0]["first_counts"]), f"{ours[0]['first_j']:,.2f}",
            _range(column(ours, "dearer_rounds")),
            f"{max(column(ours, 'dearest_percent')):.1f}",
            f"{mean(column(ours, 'busy')):.3f}", f"{known.busy:.3f}" if known else NONE,
        ))  # fmt: skip
    shown: list[str | Chart] = []
    if rounds:
        shown.append(
            Chart(
                name="rounds",
                caption="Joules saved since the first round against the highest clocks, deadlines "
                "up to twice the earliest; the first seed.",
                draw=lambda figure: figures.draw_rounds(figure, rounds),
                height=figures.height(rounds),
            )
        )
    return Chapter(
        title="What exploring costs",
        parts=(
            "A setting is tried for 5 s at most and only while the highest clocks could still do "
            "the rest in time, so a round whose deadline is less than 5 s later than necessary "
            "teaches nothing. *First*: settings known after each round in which the first ones "
            "are tried, and the joules of these rounds. *Dearer*: rounds above Performant, and "
            "the worst of them.",
            *shown,
            Grid(
                columns=("task", "ratio", "observed", "unique", "authors (unique)",
                         "rounds, first + asked", "authors", "first", "first, J", "dearer",
                         "worst, %", "busy", "authors"),
                rows=rows, source="bofl_runs",
            ),
        ),
    )  # fmt: skip


def _measured(runs: Table, facts: Table, points: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for fact in facts:
        ours = of(runs, "bofl", fact["sweep"])
        rows.append((
            words_of(fact["sweep"]), f"{fact['settings']:,}",
            str(fact["minibatches"]), f"{fact['shortest_s']:.2f}",
            f"{fact['front']} / {fact['hull']}", f"{fact['ceiling_percent']:.2f}",
            f"{fact['least_at_s'] / fact['highest_s']:.2f}", f"{fact['lowest_w']:.2f}",
            str(fact["tried_first"]), _range(column(ours, "front")),
            _range(column(ours, "front_true")),
        ))  # fmt: skip
    shown: list[str | Chart] = []
    if points:
        shown.append(
            Chart(
                name="fronts",
                caption="Settings that BoFL measured, and the front of all; deadlines up to twice "
                "the earliest, the first seed; rounded to hundredths. Slower and dearer ones are "
                "not shown.",
                draw=lambda figure: figures.draw_fronts(figure, points),
                height=figures.height(points),
            )
        )
    return Chapter(
        title="What is there, and what BoFL sees of it",
        parts=(
            "*Front*: settings that none beats in both seconds and joules, and corners of its "
            "lower convex hull. *Ceiling*: what the cheapest setting saves, whatever the deadline, "
            "and its seconds as a multiple of those of the highest clocks. *Known*: front of what "
            "BoFL measured, and how much of that lies on the true one. It finds a few settings of "
            "the true front and near neighbours of the others; mixing makes up for most of the "
            "rest.",
            *shown,
            Grid(
                columns=("task", "settings", "minibatches", "T_min, s", "front / hull",
                         "ceiling, %", "at, times", "lowest power, W", "tried first",
                         "known front", "of the true one"),
                rows=rows, source="bofl_facts",
            ),
        ),
    )  # fmt: skip


def _feedback(runs: Table) -> Chapter:
    names = ("bofl", "feedback_first", "feedback_tenth")
    rows: list[Sequence[str]] = []
    for sweep, ratio in _cells(runs):
        parts = [of(runs, name, sweep, ratio) for name in names]
        rows.append((
            words_of(sweep), f"{ratio:g}",
            *(spread(column(part, "saving_percent")) if part else NONE for part in parts),
            *(_mean(part, "regret_percent") for part in parts),
            *(str(sum(column(part, "misses"))) if part else NONE for part in parts),
        ))  # fmt: skip
    parts = [of(runs, name) for name in names]
    means = [_mean(part, what) for what in ("saving_percent", "regret_percent") for part in parts]
    rows.append(("**all**", "", *means, *(str(sum(column(part, "misses"))) for part in parts)))
    return Chapter(
        title="deadline_feedback on the same tasks",
        parts=(
            "`deadline_feedback` is hetsim's local energy optimiser: it starts from a belief about "
            "all settings, plans a mix, measures what it uses and corrects itself. Its belief is "
            "fitted as by `hetsim calibrate`. *Exploring*: on BoFL's first settings only, which it "
            "tries in the same rounds with the same guard, and which are charged to it as to BoFL; "
            "nothing was known before. *A tenth*: on a random tenth of the sweep, whose measuring "
            "is not charged, as where somebody else has profiled such a board. Both see a setting "
            "again only by using it.",
            Grid(
                columns=("task", "ratio", "BoFL saves, %", "exploring, %", "a tenth, %",
                         "BoFL's regret, %", "exploring, %", "a tenth, %", "BoFL misses",
                         "exploring", "a tenth"),
                rows=rows, source="bofl_runs",
            ),
        ),
    )  # fmt: skip


def _claim(runs: Table, facts: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for fact in facts:
        sweep = fact["sweep"]
        ours = max(column(of(runs, "bofl", sweep), "saving_percent"))
        bound = max(column(of(runs, "oracle", sweep), "saving_percent"))
        known = PUBLISHED.get(sweep)
        stored = max(known.saving(ratio) for ratio in known.cells) if known else None
        rows.append((
            words_of(sweep), f"{fact['ceiling_percent']:.2f}", f"{bound:.2f}",
            NONE if stored is None else f"{stored:.2f}", f"{ours:.2f}",
            "yes" if bound >= CLAIM else "no",
        ))  # fmt: skip
    return Chapter(
        title="The claim of 26 %",
        parts=(
            f'The abstract says that energy falls by "around {CLAIM:.0f} %" and is near the best '
            "possible. The best of all stored runs saves "
            f"{_best_stored():.2f} %, their mean {_mean_stored():.2f} %. {CLAIM:.0f} % is what "
            "Oracle saves on ViT on the Xavier with late deadlines, or, within half a point, BoFL "
            "there when exploring is not counted; for the other tasks it is above what the "
            "cheapest setting saves. That the result is near the best possible holds: see the "
            "regrets above. Which average the authors formed is not known: the body of the article "
            "was not at hand.",
            Grid(
                columns=("task", "ceiling, %", "Oracle's best, %", "authors' best, %",
                         "BoFL's best here, %", f"Oracle reaches {CLAIM:.0f} %"),
                rows=rows,
            ),
        ),
    )  # fmt: skip


def _rest(idle: Table) -> Chapter:
    policies = [name for name in _NAMES if name != "performant" and of(idle, name)]
    rows: list[Sequence[str]] = []
    for sweep, ratio in _cells(idle):
        if ratio not in (2.0, 4.0):
            continue
        cells = [row for row in idle if (row["sweep"], row["ratio"]) == (sweep, ratio)]
        for rest in appearing(cells, "rest"):
            part = {row["policy"]: row for row in cells if row["rest"] == rest}
            rows.append((
                words_of(sweep), f"{ratio:g}", str(rest),
                f"{part['performant']['rest_w']:.2f}",
                *(_mean([part[name]] if name in part else [], "saving_percent")
                  for name in policies),
                _resting(sweep, ratio, rest),
            ))  # fmt: skip
    return Chapter(
        title="With what is drawn at rest",
        parts=(
            "The authors count joules until the last minibatch. A device that is done early draws "
            "something until the deadline, so who races pays more. The same rounds again, with 0, "
            "50 and 100 % of the lowest power of the sweep from the last minibatch to the "
            "deadline, and with 2.9 W on the TX2, what its authors' trace shows between rounds. "
            "Savings in percent against Performant in the same account; the plans are those made "
            "without rest, but for the last policy, which minimises both together: the exact mix "
            "of e - P t. *Derived*: from the authors' stored rounds.",
            Grid(
                columns=("task", "ratio", "rest", "W", *(_NAMES[name] for name in policies),
                         "BoFL, derived"),
                rows=rows, source="bofl_idle",
            ),
        ),
    )  # fmt: skip


def _resting(sweep: str, ratio: float, rest: str) -> str:
    known = PUBLISHED.get(sweep)
    if rest != _RESTED or not known or not known.saving_resting:
        return NONE
    return f"{known.saving_resting[(2.0, 4.0).index(ratio)]:.1f}"


def _differences() -> Chapter:
    return Chapter(
        title="What the account leaves out, and what is odd in it",
        parts=(
            "- One client is paced over 100 rounds from a table; nothing is trained or sent. "
            "Switching clocks takes neither time nor joules, though a round may switch ten times; "
            "the optimiser's own work is left out too. On the boards the authors measured 9.3 to "
            "14.1 s and 53 to 65 J a batch, 0.2 to 1.1 % of a run's joules.\n"
            "- The time at the highest clocks is used before it was measured, and the length of a "
            "trial follows from the table. In a simulated device both come from its profile.\n"
            "- A setting at which not one minibatch is done in 5 s counts as observed and costs "
            "nothing: 72 of 936 settings of the LSTM on the TX2, two of which are among the first. "
            "hetsim does so only where items are declared whole.\n"
            "- When fewer minibatches are left than a trial takes, they are done at the setting to "
            "be tried and not recorded, so such a round may be dear.\n"
            "- One of the first settings of the LSTM on the TX2 takes 1.250000 s in the rounded "
            "sweep. The stored round has three minibatches of it, not four, so its true time is a "
            "little longer: a trial ends before 5 s are full.\n"
            "- The rule that ends exploring compares hypervolumes below a reference point that "
            "lies far outside (all first observations count); growth is below one percent after "
            "the first batches nearly always, so the number of observations decides.\n"
            "- The authors' optimiser fits its processes from one start, of which chance decides "
            "where it leads; no seed is set for it. A setting may be asked for twice.",
        ),
    )


def _method(settings: dict[str, Any]) -> Chapter:
    return Chapter(
        title="Method",
        parts=(
            f"Ratios {', '.join(f'{each:g}' for each in settings['ratios'])}; optimiser seeds and "
            f"random tenths 0 to {settings['seeds'] - 1}. Deadlines and first settings are drawn "
            "by Python's generator with the authors' seeds (CIFAR10 3793, ImageNet 3456, IMDB "
            "4567), as in their program: deadlines T_min u, u even on 1 to the ratio. Sweeps whose "
            "names are not those of the authors' tasks get 200 minibatches a round and a seed from "
            "the name. Of the Xavier's 29 CPU clocks the 25 highest are used, as there.",
            "BoFL by the authors' program, its optimiser as in Trieste 0.10: a Gaussian process "
            "each for seconds and joules (Matérn 5/2, a length scale a clock), exact expected "
            "hypervolume improvement over all settings, batches of ten by imagining each pick's "
            "mean. Starts, priors and search are those of the library's source. They were settled "
            "when results had been seen: a first form (priors on logarithms, several starts) met "
            "the tolerances too, but was 1 to 1.5 points off on the LSTM, and of 1, 5 and 20 "
            "starts the one that the library takes came closest to the stored runs. Every round "
            "after exploring and the bound are exact integer mixes.",
        ),
    )


# --- parts ----------------------------------------------------------------------------------------


def _cells(table: Table) -> Iterator[tuple[str, float]]:
    yield from dict.fromkeys((row["sweep"], row["ratio"]) for row in table)


def _cell(row: Row) -> bool:
    return row["sweep"] in PUBLISHED and row["ratio"] in PUBLISHED[row["sweep"]].cells


def _only(runs: Table, policy: str, sweep: str, ratio: float) -> Row:
    [row] = of(runs, policy, sweep, ratio)
    return row


def _mean(rows: Sequence[Row], name: str) -> str:
    return f"{mean(column(rows, name)):.2f}" if rows else NONE


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _stored() -> list[float]:
    return [known.saving(ratio) for known in PUBLISHED.values() for ratio in known.cells]


def _best_stored() -> float:
    return max(_stored())


def _mean_stored() -> float:
    return mean(_stored())
