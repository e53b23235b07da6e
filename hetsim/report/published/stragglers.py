"""Stragglers: how a server may wait, whom it may ask, and what either costs to an accuracy.

One fleet whose devices are slow, far and not always there, at every pace and under several
selections: seconds, joules and wasted joules to the same accuracy, what held the rounds up, and who
was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from hetsim.report.numbers import NONE, significant
from hetsim.report.paper import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PLUM, RULE, SERIES, VIOLET
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

_PACES = {
    "sync": "synchronous",
    "deadline": "deadline",
    "over_selection": "over-selection",
    "tifl": "tiers (TiFL)",
    "hierarchical": "hierarchical",
    "fedbuff": "FedBuff",
    "fedasync": "FedAsync",
}
_COLOURS = {
    "sync": INK, "deadline": ORANGE, "over_selection": GREEN, "tifl": PLUM, "hierarchical": VIOLET,
    "fedbuff": BLUE, "fedasync": GREY,
}  # fmt: skip
_SELECTIONS = {"random": "random", "oort": "Oort", "eafl": "EAFL", "battery": "battery"}
_BASE_PACE, _BASE_SELECTION = "sync", "random"
_GRID = {
    "paces": [*_PACES][:6], "selections": ["random", "oort", "eafl"], "target": 0.8, "workers": 2,
}  # fmt: skip
_SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": [0], "updates": 20, "samples": 30, "test": 100, "target": 0.3, "workers": 1},
    "small": {"seeds": [0, 1, 2], "updates": 400, "samples": 200, "test": 2000},
    "full": {
        "seeds": [0, 1, 2, 3, 4], "updates": 1000, "samples": 400, "test": 10_000,
        "paces": [*_PACES], "selections": [*_SELECTIONS],
    },
}  # fmt: skip
_CLEAR = 0.01
"""A factor nearer to one than this is no difference."""
_JOULES = {"total": "total", "active": "active", "participant": "participant"}
_BLAME = {
    "compute": BLUE, "queueing": ORANGE, "uplink": GREEN, "downlink": VIOLET, "waiting": GREY,
    "slowed": PLUM, "gateway": MUTED, "server": INK, "charge": RULE,
}  # fmt: skip
_CAUSES = {
    "surplus": ORANGE, "churn": BLUE, "deadline": PLUM, "battery": GREEN, "stale": VIOLET,
    "memory": MUTED, "unused": INK, "unfinished": GREY,
}  # fmt: skip


class Stragglers:
    """Seconds, joules and wasted joules to an accuracy at every pace, with blame."""

    def needs(self, scale: str) -> Sequence[Need]:
        """The fleet at every pace under every selection; FedBuff with and without slow devices."""
        settings = {**_GRID, **_SCALES[scale]}
        alone = {
            name: value for name, value in settings.items() if name not in ("paces", "selections")
        }
        return (
            Need(comparison="stragglers", settings=settings),
            Need(comparison="spread", settings=alone),
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        settings = {**_GRID, **_SCALES[scale]}
        runs = Runs(tables["stragglers"], ("pace", "selection"))
        fleets = Runs(tables["spread"], ("fleet", "pace"))
        return Page(
            title="Stragglers",
            lead=_lead(tables, runs, fleets),
            chapters=(
                _times(runs),
                _joules(runs),
                _waste(runs, tables["wasted"]),
                _curves(runs, tables["curves"]),
                _blame(runs, tables["blame"]),
                _left_out(runs, tables["kinds"]),
                _spread(fleets),
                _method(runs, settings),
            ),
        )


Place = tuple[str, str]
"""What a run is, apart from its seed."""


@dataclass(frozen=True)
class Runs:
    """Rows of a table of runs, by what they are and by seed.

    Attributes:
        table: one row a run.
        names: the columns that say what a run is.
    """

    table: Table
    names: tuple[str, str]

    @property
    def places(self) -> list[Place]:
        """Every kind of run, in order."""
        return list(dict.fromkeys(self._place(row) for row in self.table))

    @property
    def seeds(self) -> list[int]:
        """Seeds, in order."""
        return sorted({row["seed"] for row in self.table})

    @property
    def target(self) -> str:
        """The accuracy that they raced to, in words."""
        return _percent(self.table[0]["target"])

    def at(self, place: Place) -> list[Row]:
        """Runs of a kind, in order of seed."""
        rows = [row for row in self.table if self._place(row) == place]
        return sorted(rows, key=lambda row: row["seed"])

    def values(self, place: Place, column: str) -> list[float | None]:
        """A column of theirs."""
        return [row[column] for row in self.at(place)]

    def factors(self, column: str, base: Place, other: Place) -> list[float | None]:
        """How many times as much the base has as the other, seed by seed."""
        pairs = zip(self.values(base, column), self.values(other, column), strict=True)
        return [a / b if a is not None and b else None for a, b in pairs]

    def _place(self, row: Row) -> Place:
        return row[self.names[0]], row[self.names[1]]


# --- the finding ----------------------------------------------------------------------------------


def _lead(tables: Tables, runs: Runs, fleets: Runs) -> str:
    kinds = tables["kinds"]
    one = [row for row in kinds if _of(row, kinds[0])]
    base = _BASE_PACE, _BASE_SELECTION
    begun = runs.values(base, "to_time_s")
    first = (
        f"take {_range(begun)} s to {runs.target} accuracy"
        if any(value is not None for value in begun)
        else f"do not reach {runs.target} accuracy"
    )
    found = (
        *_compared(runs, base),
        *_selected(runs, base),
        _most_blamed(tables["blame"]),
        _most_wasted(runs),
        _least_heard(kinds),
        *(_gain(fleets, fleet) for fleet in dict.fromkeys(fleet for fleet, _ in fleets.places)),
    )
    return "\n".join(
        (
            f"{sum(row['devices'] for row in one)} devices of {len(one)} kinds that come and go "
            f"learn Fashion-MNIST, at {len({pace for pace, _ in runs.places})} paces and under "
            f"{len({name for _, name in runs.places})} selections, with {_seeds(runs)} each. "
            f"Synchronous rounds of random clients {first}. Beside them, with random clients too:",
            "",
            *(f"- {sentence}" for sentence in found if sentence),
            "",
            f"A difference counts as seen if it has the same sign in every seed ({_seeds(runs)}) "
            f"and is above {_percent(_CLEAR)} in each, and as not settled otherwise, also where a "
            "run does not reach the target. Factors are "
            "those of single seeds, least and highest; other numbers are means over seeds with "
            "least and highest in brackets. Rebuild with `hetsim report stragglers`.",
        )
    )


def _seeds(runs: Runs) -> str:
    return f"{len(runs.seeds)} seed{'s' * (len(runs.seeds) > 1)}"


def _compared(runs: Runs, base: Place) -> list[str]:
    """Which paces are sooner than synchronous rounds, and which take fewer joules."""
    others = [place for place in runs.places if place[1] == base[1] and place != base]
    accounts = {
        "to_total_j": "of all nodes", "to_active_j": "above base power",
        "to_participant_j": "of who takes part",
    }  # fmt: skip
    said = {
        what: _sorted_out(runs, column, base, others, ("fewer", "more"), _pace)
        for column, what in accounts.items()
    }
    time = _sorted_out(runs, "to_time_s", base, others, ("sooner", "later"), _pace)
    return [
        *([f"Time: {time}."] if time else []),
        *(f"Joules {what}: {text}." for what, text in said.items() if text),
    ]


def _selected(runs: Runs, base: Place) -> list[str]:
    """Which selections are sooner than a random one in synchronous rounds."""
    others = [place for place in runs.places if place[0] == base[0] and place != base]
    text = _sorted_out(runs, "to_time_s", base, others, ("sooner", "later"), _selection)
    return [f"Time in synchronous rounds of other clients: {text}."] if text else []


def _sorted_out(
    runs: Runs,
    column: str,
    base: Place,
    others: Sequence[Place],
    words: tuple[str, str],
    name: Callable[[Place], str],
) -> str:
    """Who needs less of a column than the base in every seed, who more, and who neither."""
    less, more = words
    said: dict[str, list[str]] = {less: [], more: [], "not settled": []}
    for other in others:
        factors = runs.factors(column, base, other)
        known = [factor for factor in factors if factor is not None]
        match _sign(factors):
            case 1:
                said[less].append(f"{name(other)} ({_times_as(known)})")
            case -1:
                said[more].append(f"{name(other)} ({_times_as([1 / each for each in known])})")
            case _:
                said["not settled"].append(name(other))
    return "; ".join(f"{word}: {', '.join(who)}" for word, who in said.items() if who)


def _sign(factors: Sequence[float | None]) -> int:
    """1 if all are clearly above one, -1 if all are below, 0 otherwise or if one is missing."""
    known = [factor for factor in factors if factor is not None]
    if not known or len(known) < len(factors):
        return 0
    return (min(known) > 1.0 + _CLEAR) - (max(known) < 1.0 / (1.0 + _CLEAR))


def _most_blamed(blame: Table) -> str:
    """What held up synchronous rounds of random clients."""
    part = [
        row for row in blame
        if (row["pace"], row["selection"]) == (_BASE_PACE, _BASE_SELECTION)
    ]  # fmt: skip
    shares = _mean_shares(part, lambda row: (row["who"], row["kind"]))
    if not shares:
        return ""
    first = sorted(shares.items(), key=lambda item: -item[1])[:2]
    named = " and ".join(f"{kind} at {who} ({_percent(share)})" for (who, kind), share in first)
    return f"What makes up most of the critical path of synchronous rounds: {named}."


def _mean_shares(table: Table, key: Callable[[Row], Any]) -> dict[Any, float]:
    """Shares summed by key in every run, then averaged over the runs."""
    runs = {(row["pace"], row["selection"], row["seed"]) for row in table}
    shares: dict[Any, float] = {}
    for row in table:
        shares[key(row)] = shares.get(key(row), 0.0) + row["share"] / len(runs)
    return shares


def _wasted_share(row: Row) -> float | None:
    return None if not row["to_spent_j"] else row["to_wasted_j"] / row["to_spent_j"]


def _most_wasted(runs: Runs) -> str:
    """Which pace throws away most of what its clients spend on the way to the target."""
    means = {
        place: mean(known)
        for place in runs.places
        if place[1] == _BASE_SELECTION
        and (
            known := [share for row in runs.at(place) if (share := _wasted_share(row)) is not None]
        )
    }
    if not means or not max(means.values()):
        return ""
    worst = max(means, key=lambda place: means[place])
    least = min(means, key=lambda place: means[place])
    return (
        f"Of the joules that clients spend on the way there, most are wasted at the pace "
        f"{_pace(worst)} ({_percent(means[worst])}), fewest at {_pace(least)} "
        f"({_percent(means[least])})."
    )


def _least_heard(kinds: Table) -> str:
    """Whose updates a selection takes least of, beside what they hold."""
    words: list[str] = []
    for selection in appearing(kinds, "selection"):
        part = [row for row in kinds if (row["pace"], row["selection"]) == (_BASE_PACE, selection)]
        shares = {
            kind: (
                mean(row["share_of_updates"] for row in part if row["kind"] == kind),
                mean(row["share_of_samples"] for row in part if row["kind"] == kind),
            )
            for kind in appearing(part, "kind")
        }
        if not shares:
            continue
        kind = min(shares, key=lambda kind: shares[kind][0] / (shares[kind][1] or 1.0))
        used, held = shares[kind]
        words.append(
            f"{_SELECTIONS.get(selection, selection)} takes {_percent(used)} of its updates from "
            f"{kind}, which holds {_percent(held)} of the data"
        )
    return f"Who is left out in synchronous rounds: {'; '.join(words)}." if words else ""


def _gain(fleets: Runs, fleet: str) -> str:
    """Whether FedBuff is sooner than synchronous rounds on a fleet."""
    factors = fleets.factors("to_time_s", (fleet, "sync"), (fleet, "fedbuff"))
    each = ", ".join(NONE if factor is None else f"{factor:.2f}" for factor in factors)
    match _sign(factors):
        case 1:
            verdict = "is sooner in every seed"
        case -1:
            verdict = "is later in every seed"
        case _:
            verdict = "is not seen to be sooner"
    return (
        f"Where devices are {fleet} in speed, FedBuff {verdict}: synchronous rounds take {each} "
        "times as long, seed by seed."
    )


# --- chapters -------------------------------------------------------------------------------------


def _times(runs: Runs) -> Chapter:
    base = _BASE_PACE, _BASE_SELECTION
    rows = [
        (
            *_names(place),
            f"{sum(value is not None for value in runs.values(place, 'to_time_s'))} of "
            f"{len(runs.at(place))}",
            _range(runs.values(place, "to_time_s")),
            _range(runs.values(place, "to_updates"), digits=0),
            "" if place == base else _each(runs.factors("to_time_s", base, place)),
            _range([_hundred(value) for value in runs.values(place, "accuracy")]),
        )
        for place in runs.places
    ]
    return Chapter(
        title=f"Time to {runs.target}",
        parts=(
            "Simulated seconds until a scored model of the server has the accuracy for the first "
            "time, and client updates that it took. The factor says how many times as long "
            "synchronous rounds of random clients take, seed by seed; above 1 is a gain. The last "
            "column is the accuracy when the budget is used up.",
            Grid(
                columns=("pace", "selection", "reached", "time, s", "updates",
                         "synchronous over this", "accuracy at the end, %"),
                rows=rows, source="stragglers",
            ),
            Chart(
                name="times", caption=f"Seconds to {runs.target}, a dot a seed; a cross at the "
                "edge is a run that did not get there.",
                draw=lambda figure: _draw_dots(
                    figure, runs, {"simulated time, s": ("to_time_s", 1.0)}
                ),
            ),
        ),
    )  # fmt: skip


def _joules(runs: Runs) -> Chapter:
    rows = [
        (
            *_names(place),
            *(
                _range([_kilo(value) for value in runs.values(place, f"to_{account}_j")])
                for account in _JOULES
            ),
        )
        for place in runs.places
    ]
    return Chapter(
        title=f"Joules to {runs.target}",
        parts=(
            "Three accounts of the same runs. *Total*: everything that all nodes draw until then, "
            "idle devices, access points and server too; it mostly counts seconds. *Active*: what "
            "is drawn above base power. *Participant*: all that a device draws from being asked to "
            "its last act, and all that server, gateways and network draw.",
            Grid(
                columns=("pace", "selection", *(f"{name}, kJ" for name in _JOULES.values())),
                rows=rows, source="stragglers",
            ),
            Chart(
                name="joules", caption=f"Kilojoules to {runs.target}, a dot a seed.",
                draw=lambda figure: _draw_dots(
                    figure, runs,
                    {f"{name}, kJ": (f"to_{key}_j", 1e-3) for key, name in _JOULES.items()},
                ),
            ),
        ),
    )  # fmt: skip


def _waste(runs: Runs, wasted: Table) -> Chapter:
    rows = [
        (
            *_names(place),
            _range(runs.values(place, "to_wasted_j")),
            _range([_hundred(_wasted_share(row)) for row in runs.at(place)]),
            _range(runs.values(place, "to_unfinished_j")),
            *(
                _range(runs.values(place, f"dropped_{cause}"), digits=0)
                for cause in ("churn", "battery", "deadline", "surplus")
            ),
        )
        for place in runs.places
    ]
    return Chapter(
        title="Wasted work",
        parts=(
            "What clients drew for updates that are part of no model, up to the target (in the "
            "figure: to the end of the budget where it was not reached). Work that is still going "
            "on at that moment is lost only to who stops there and stands apart. Dropouts are "
            "counted over the whole budget; an empty battery ended "
            f"{sum(row['dropped_battery'] for row in runs.table)} of the participations in all "
            "runs together.",
            Grid(
                columns=("pace", "selection", "wasted, J", "share of clients' joules, %",
                         "unfinished, J", "churn", "battery", "deadline", "surplus"),
                rows=rows, source="stragglers",
            ),
            Chart(
                name="waste", caption="Wasted joules by cause, means over seeds.",
                draw=lambda figure: _draw_bars(
                    figure.subplots(), runs.places,
                    lambda place: _means(runs, wasted, place, "cause", "energy_j"),
                    _CAUSES, "wasted joules",
                ),
                height=4.8,
            ),
        ),
    )  # fmt: skip


def _means(runs: Runs, table: Table, place: Place, column: str, value: str) -> dict[str, float]:
    """Sums of a value by a column in the runs of a kind, averaged over seeds."""
    sums: dict[str, float] = {}
    for row in table:
        if (row["pace"], row["selection"]) == place:
            sums[row[column]] = sums.get(row[column], 0.0) + row[value] / len(runs.at(place))
    return sums


def _curves(runs: Runs, curves: Table) -> Chapter:
    return Chapter(
        title="Accuracy against time and joules",
        parts=(
            f"Random selection. Bold: seed {runs.seeds[0]}; thin: the others. Every run has the "
            "same budget of client updates, so a curve that ends early has used it up sooner.",
            Chart(
                name="curves", caption="Test accuracy of the server's model against simulated "
                "time and against the joules of all nodes.",
                draw=lambda figure: _draw_curves(figure, curves, runs),
                height=4.4,
            ),
        ),
    )  # fmt: skip


def _blame(runs: Runs, blame: Table) -> Chapter:
    rows: list[Sequence[str]] = []
    for place in runs.places:
        part = [row for row in blame if (row["pace"], row["selection"]) == place]
        shares = _mean_shares(part, lambda row: (row["who"], row["kind"]))
        first = sorted(shares.items(), key=lambda item: -item[1])[:3]
        cells = [f"{who}, {kind}: {_percent(share)}" for (who, kind), share in first]
        rows.append((*_names(place), *cells, *[""] * (3 - len(cells))))
    return Chapter(
        title="What held the rounds up",
        parts=(
            "The critical path of every server step, the chain of segments of which each let the "
            "next begin, by kind: computing on devices, transfers as long as they would take with "
            "the links to themselves, queueing behind other transfers, and so on. Means over "
            "seeds of the shares on the way to the target (or to the end where it was not "
            "reached). Under FedBuff a step ends when the last update of its buffer arrives, so "
            "its path is that of one client and not of the slowest.",
            Chart(
                name="blame", caption="Shares of the critical paths by kind.",
                draw=lambda figure: _draw_bars(
                    figure.subplots(), runs.places,
                    lambda place: _means(runs, blame, place, "kind", "share"),
                    _BLAME, "share of the critical paths",
                ),
                height=4.8,
            ),
            Grid(columns=("pace", "selection", "most", "second", "third"), rows=rows,
                 source="blame"),
        ),
    )  # fmt: skip


def _left_out(runs: Runs, kinds: Table) -> Chapter:
    names = appearing(kinds, "kind")
    held = {row["kind"]: row["share_of_samples"] for row in kinds if _of(row, kinds[0])}
    rows = [
        (
            *_names(place),
            *(_percent(mean(_column(kinds, place, kind, "share_of_updates"))) for kind in names),
            _range(runs.values(place, "jain_updates"), digits=2),
            _range(runs.values(place, "never_used"), digits=0),
            *(
                _range(
                    [_hundred(value) for value in runs.values(place, f"{column}_accuracy")],
                    nothing=NONE,
                )
                for column in ("worst_tenth", "rare_label", "usual_label")
            ),
        )
        for place in runs.places
    ]
    return Chapter(
        title="Who is left out",
        parts=(
            "Share of the updates used that come from each kind of device, over the whole budget; "
            "Jain's index over the devices (1: all have as many updates); devices no update of "
            "which was used; and the accuracy, at the end, that devices may expect on labels in "
            "their own proportions: the tenth that may expect least, those with rare labels, and "
            "the others.",
            Grid(
                columns=("pace", "selection", *names, "Jain", "never used", "worst tenth, %",
                         "rare labels, %", "usual labels, %"),
                rows=[("share of the data", "", *(_percent(held[name]) for name in names),
                       *[""] * 5), *rows],
                source="kinds",
            ),
            Chart(
                name="kinds", caption="Whose updates the model is made of; first bar: whose data "
                "there is.",
                draw=lambda figure: _draw_bars(
                    figure.subplots(), [("data", ""), *runs.places],
                    lambda place: held if place == ("data", "") else _means(
                        runs, kinds, place, "kind", "share_of_updates"
                    ),
                    dict(zip(names, (*SERIES, INK, MUTED), strict=False)), "share of the updates",
                ),
                height=4.8,
            ),
        ),
    )  # fmt: skip


def _column(kinds: Table, place: Place, kind: str, column: str) -> list[float]:
    return [
        row[column]
        for row in kinds
        if (row["pace"], row["selection"]) == place and row["kind"] == kind
    ]


def _spread(fleets: Runs) -> Chapter:
    rows = [
        (
            fleet,
            _PACES.get(pace, pace),
            _each(fleets.values((fleet, pace), "to_time_s"), digits=1),
            _each(fleets.factors("to_time_s", (fleet, "sync"), (fleet, pace))),
            *(
                _range([_kilo(value) for value in fleets.values((fleet, pace), f"to_{key}_j")])
                for key in _JOULES
            ),
        )
        for fleet, pace in fleets.places
    ]
    return Chapter(
        title="FedBuff beside synchronous rounds, with and without slow devices",
        parts=(
            "Sixty boards that never leave, on equal and fast links, the same number of clients at "
            "work: five kinds of board ten times apart in speed, or one kind. Random selection; "
            "everything else is as above.",
            " ".join(
                _gain(fleets, fleet)
                for fleet in dict.fromkeys(fleet for fleet, _ in fleets.places)
            ),
            Grid(
                columns=("devices", "pace", f"s to {fleets.target}, by seed",
                         "synchronous over this", *(f"{name}, kJ" for name in _JOULES.values())),
                rows=rows, source="spread",
            ),
            Chart(
                name="spread", caption=f"Seconds to {fleets.target}, a dot a seed.",
                draw=lambda figure: _draw_dots(
                    figure, fleets, {"simulated time, s": ("to_time_s", 1.0)}
                ),
                height=2.8,
            ),
        ),
    )  # fmt: skip


def _method(runs: Runs, settings: Mapping[str, Any]) -> Chapter:
    return Chapter(
        title="How it was done, and what is assumed",
        parts=(
            "- The fleet is `topologies/straggler_fleet.yaml`. Every device holds "
            f"{settings['samples']} pictures, their labels skewed (Dirichlet, 0.5); a small "
            "convolutional network (105,194 parameters, 421 kB) is trained for one epoch of "
            "batches of 10 at a learning rate of 0.02 with momentum 0.9. Ten clients are at work "
            "at a time, at every pace.",
            f"- Every run may have {settings['updates']} client updates, not server steps, as an "
            "asynchronous step is made of fewer; TiFL's round of profiling counts. Scores are "
            f"taken every 20 updates, on {settings['test']:,} test pictures, outside the simulated "
            "world. The first score at or above the target counts; with skewed labels the curve is "
            "rough, so that a single crossing is a matter of luck, and small differences between "
            "paces are not to be read.",
            "- What is told up to the target is a second play of the same run that ends with the "
            "round in which it was reached.",
            "- Settings of the paces were fixed before the first of these runs and not changed "
            "after: deadline 2 s with fewer steps for who would be late, which only the slowest "
            "kind misses on idle links; 1.3 times the cohort asked; TiFL with 5 tiers, all alike "
            "likely; a gateway averages twice a step; FedBuff with a buffer of half the clients at "
            "work, staleness exponent 1/2 and a server learning rate of 1/2, so that as many "
            "updates as there are clients at work move the model as far as a synchronous round. "
            "The model, the learning rates and the buffer were tried out with seed 7, which is not "
            "reported: with a server learning rate of 1, FedBuff overshot where all devices are "
            "alike.",
            "- Devices come and go within a minute or a few, which is fast, because a run lasts "
            "about a minute; the phones that are almost empty begin with 32 J.",
            "- The same seed means the same data, the same fleet, the same comings and goings. The "
            "loss that Oort and EAFL go by is that with which local training begins, so it costs "
            "the eight bytes that report it; the server pays for no test of accuracy.",
        ),
    )  # fmt: skip


# --- figures --------------------------------------------------------------------------------------


def _draw_dots(figure: Figure, runs: Runs, panels: Mapping[str, tuple[str, float]]) -> None:
    """A dot a run: rows of the first name, colours of the second."""
    rows = list(dict.fromkeys(first for first, _ in runs.places))
    colours = list(dict.fromkeys(second for _, second in runs.places))
    all_axes: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (label, (column, factor)) in zip(all_axes, panels.items(), strict=True):
        known = [row[column] * factor for row in runs.table if row[column] is not None]
        edge = 1.06 * max(known, default=1.0)
        for place in runs.places:
            order = colours.index(place[1])
            y = rows.index(place[0]) + 0.2 * (order - (len(colours) - 1) / 2)
            values = runs.values(place, column)
            reached = [value * factor for value in values if value is not None]
            colour = SERIES[order % len(SERIES)]
            axes.plot(reached, [y] * len(reached), "o", color=colour, markersize=5, alpha=0.75)
            if reached:
                axes.plot(mean(reached), y, "|", color=colour, markersize=11, markeredgewidth=1.6)
            missing = len(values) - len(reached)
            axes.plot([edge] * missing, [y] * missing, "x", color=colour, markersize=5)
        axes.set(xlabel=label, xlim=(0, 1.03 * edge), ylim=(len(rows) - 0.5, -0.5))
        axes.set_yticks(range(len(rows)), [_PACES.get(row, row) for row in rows], color=INK)
    for order, name in enumerate(colours):
        word = _SELECTIONS.get(name, _PACES.get(name, name))
        all_axes[0].plot([], [], "o", color=SERIES[order % len(SERIES)], label=word)
    _legend(figure, len(colours))


def _draw_bars(
    axes: Axes,
    places: Sequence[Place],
    parts: Callable[[Place], Mapping[str, float]],
    colours: Mapping[str, str],
    label: str,
) -> None:
    """A bar a kind of run, made of coloured parts; a gap between paces."""
    found = [parts(place) for place in places]
    shown = [name for name in colours if any(each.get(name) for each in found)]
    ticks: list[float] = []
    y = 0.0
    for place, before in zip(places, (places[0], *places), strict=False):
        y += 1.0 if place[0] == before[0] else 1.5
        ticks.append(y)
    for y, each in zip(ticks, found, strict=True):
        left = 0.0
        for name in shown:
            width = each.get(name, 0.0)
            axes.barh(y, width, left=left, height=0.78, color=colours[name])
            left += width
    for name in shown:
        axes.barh(0, 0, color=colours[name], label=name)
    words = [" · ".join(word for word in _names(place) if word) for place in places]
    axes.set_yticks(ticks, words, color=INK, fontsize=7.5)
    axes.set(xlabel=label, ylim=(ticks[-1] + 0.7, ticks[0] - 0.7), xlim=(0, None))
    axes.grid(visible=False, axis="y")
    figure: Any = axes.figure
    _legend(figure, len(shown))


def _draw_curves(figure: Figure, curves: Table, runs: Runs) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    paces = [pace for pace, selection in runs.places if selection == _BASE_SELECTION]
    for pace in paces:
        for seed in runs.seeds:
            part = [
                row for row in curves
                if (row["pace"], row["selection"], row["seed"]) == (pace, _BASE_SELECTION, seed)
            ]  # fmt: skip
            first = seed == runs.seeds[0]
            for axes, column, factor in ((left, "t_s", 1.0), (right, "energy_j", 1e-3)):
                axes.plot(
                    [factor * row[column] for row in part],
                    [100 * row["accuracy"] for row in part],
                    color=_COLOURS.get(pace, MUTED),
                    linewidth=1.8 if first else 0.8,
                    alpha=1.0 if first else 0.4,
                    label=_PACES.get(pace, pace) if first and axes is left else None,
                )
    for axes in (left, right):
        axes.axhline(100 * runs.table[0]["target"], color=MUTED, linewidth=1, linestyle=(0, (5, 4)))
        axes.set_xlim(0, None)
    left.set(xlabel="simulated time, s", ylabel="test accuracy, %")
    right.set(xlabel="joules of all nodes, kJ")
    _legend(figure, len(paces))


def _legend(figure: Figure, count: int) -> None:
    figure.legend(
        loc="outside lower center", ncols=min(count, 8), frameon=False, fontsize=8.5,
        labelcolor=MUTED,
    )  # fmt: skip


# --- words ----------------------------------------------------------------------------------------


def _of(row: Row, other: Row) -> bool:
    """Whether two rows are of the same run."""
    return all(row[name] == other[name] for name in ("pace", "selection", "seed"))


def _names(place: Place) -> tuple[str, str]:
    return _PACES.get(place[0], place[0]), _SELECTIONS.get(place[1], place[1])


def _pace(place: Place) -> str:
    return _names(place)[0]


def _selection(place: Place) -> str:
    return _names(place)[1]


def _range(
    values: Iterable[float | None], digits: int | None = None, nothing: str = "not reached"
) -> str:
    """Mean, least and highest of what is known.

    >>> _range([1.0, 3.0]), _range([None]), _range([2.0]), _range([1, 2], digits=0)
    ('2.00 (1.00 to 3.00)', 'not reached', '2.00', '2 (1 to 2)')
    """
    known = [value for value in values if value is not None]

    def show(value: float) -> str:
        return significant(value) if digits is None else f"{value:,.{digits}f}"

    if not known:
        return nothing
    if max(known) == min(known):
        return show(known[0])
    return f"{show(mean(known))} ({show(min(known))} to {show(max(known))})"


def _each(values: Iterable[float | None], digits: int = 2) -> str:
    return ", ".join("not reached" if value is None else f"{value:.{digits}f}" for value in values)


def _times_as(factors: Sequence[float]) -> str:
    """Factors of all seeds: 1.9 times, or 1.4 to 2.1 times."""
    low, high = f"{min(factors):.2f}", f"{max(factors):.2f}"
    return f"{low} times" if low == high else f"{low} to {high} times"


def _kilo(value: float | None) -> float | None:
    return None if value is None else value / 1000.0


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


def _percent(share: float) -> str:
    return f"{significant(100 * share, 2 if share < 0.1 else 3)} %"
