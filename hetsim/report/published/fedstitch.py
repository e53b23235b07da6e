"""FedStitch: what stitching pre-trained blocks learns and draws on boards with little memory.

A reconstruction beside the largest figures of the article, of which no more than the abstract and
third-party summaries could be had: peak memory, joules by component, seconds, accuracy against
training that leaves small boards out or shrinks the network to them, ablations, and joules by
deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from hetsim.report.numbers import NONE, significant
from hetsim.report.published import _fedstitch_figures as figures
from hetsim.report.published._fedstitch_runs import (
    ACCOUNTS,
    ALONE,
    BLIND,
    DEFAULT,
    NO_LIMIT,
    STITCHED,
    TIGHT,
    Runs,
    less,
    saving,
    skew,
    speedup,
)
from hetsim.report.published._fedstitch_targets import Target, targets
from hetsim.report.published._seeds import points, spread
from hetsim.report.published._target import NOT_RUN, causes, tally
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
    known,
)

_MARK = "Reconstructed; paper body not available; defaults by hetsim."
"""Under every figure."""
_GOVERNORS = ["deadline_feedback", "deadline_oracle", "race_to_idle", "performance"]
_FACTORS = [1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 4.0]
_PUBLISHED = ["resnet20", "resnet32", "resnet44", "resnet56"]
_SCALES: dict[str, dict[str, dict[str, Any]]] = {
    "smoke": {
        "stitching": {
            "alphas": [0.1], "seeds": [0], "voting": {"alphas": [], "seeds": []},
            "apart": {"alphas": [], "seeds": []},
            "longer": {"alphas": [0.1], "seeds": [0], "rounds": 3},
            "samples": 32, "rounds": 2, "every": 1, "cohort": 3, "test": 60, "source": 60,
            "epochs": 1, "workers": 1,
        },
        "stitch_memory": {
            "models": ["plain_cnn"], "batches": [32], "networks": ["small"], "rounds": 2,
            "workers": 1,
        },
        "stitch_deadlines": {
            "governors": ["deadline_feedback", "performance"], "factors": [2.0], "seeds": [0],
            "sweeps": ["tx2_imdb"], "workers": 1,
        },
        "stitch_published": {
            "targets": ["spoken_digits"], "zoo": ["resnet20"], "seeds": [0], "samples": 10,
            "test": 20, "workers": 1,
        },
    },
    "small": {
        "stitching": {
            "alphas": [0.1, 0.5], "seeds": [0, 1, 2],
            "voting": {"alphas": [100.0], "seeds": [0, 1, 2]},
            "apart": {"alphas": [0.5], "seeds": [0, 1, 2]},
            "longer": {"alphas": [0.5], "seeds": [0], "rounds": 72},
            "samples": 250, "rounds": 24, "every": 4, "cohort": 10, "test": 4000,
            "source": 25_000, "epochs": 6, "workers": 2,
        },
        "stitch_memory": {
            "models": ["resnet18", "vgg11", "plain_cnn"], "batches": [32, 64],
            "networks": ["small", "large"], "rounds": 100, "workers": 2,
        },
        "stitch_deadlines": {
            "governors": _GOVERNORS, "factors": _FACTORS, "seeds": [0], "sweeps": [],
            "workers": 2,
        },
        "stitch_published": {
            "targets": ["fashion_mnist", "spoken_digits"], "zoo": _PUBLISHED, "seeds": [0, 1, 2],
            "samples": 50, "test": 1000, "workers": 2,
        },
    },
}  # fmt: skip
_SCALES["full"] = {
    **_SCALES["small"],
    "stitching": {
        **_SCALES["small"]["stitching"], "seeds": [0, 1, 2, 3, 4], "samples": 500, "rounds": 100,
        "longer": {"alphas": [0.5], "seeds": [0], "rounds": 300},
        "test": 10_000, "epochs": 20,
    },
}  # fmt: skip


class FedStitch:
    """FedStitch: stitched pre-trained blocks beside training on boards with little memory."""

    def needs(self, scale: str) -> Sequence[Need]:
        """Accuracies with joules and seconds, memory and totals, deadlines, published weights."""
        return tuple(
            Need(comparison=name, settings=settings) for name, settings in _SCALES[scale].items()
        )

    def build(self, tables: Tables, scale: str) -> Page:
        """The page."""
        found = targets(tables)
        runs = Runs(*(_table(tables, name) for name in ("accuracy", "ends", "goals")))
        return Page(
            title="FedStitch, reconstructed",
            lead=_lead(runs, found, _table(tables, "published")),
            chapters=(
                _targets(found),
                _energy(runs),
                _goals(runs),
                _memory(_table(tables, "memory"), _table(tables, "limits")),
                _room(_table(tables, "budgets"), _table(tables, "networks")),
                _accuracy(runs, _table(tables, "longer")),
                _ablations(runs),
                _networks(runs),
                _deadlines(_table(tables, "deadlines"), _table(tables, "disturbed")),
                _totals(_table(tables, "totals")),
                _published(_table(tables, "published")),
                _protocol(_SCALES[scale]),
                _reconstructed(),
            ),
        )


def _table(tables: Tables, name: str) -> Table:
    return tables.get(name, ())


# --- the finding ----------------------------------------------------------------------------------


def _lead(runs: Runs, found: Sequence[Target], published: Table) -> str:
    said = (
        _first(found, 1),
        f"Joules of all clients to the same accuracy as memory-blind FedAvg: "
        f"{_savings(runs.pairs(BLIND))} (the article: up to 89.41 % less).",
        f"Seconds to the same accuracy: {spread(speedup(runs.pairs(BLIND)))} times as fast, to "
        f"FedStitch's last block {spread(speedup(runs.pairs(BLIND), 'whole'))} (the article: up to "
        "8.12).",
        *(_gap(runs, alpha) for alpha in runs.alphas),
        *(
            _frozen(runs, alpha)
            for alpha in runs.alphas
            if runs.alone(alpha) and runs.ends(alpha, STITCHED)
        ),
        *(_deep(published, target) for target in appearing(published, "target")),
        f"Expectations: {tally(found, 'not run or not judged')}",
    )
    return "\n".join(
        (
            f"**{_MARK}** FedStitch puts a network together from blocks of pre-trained ones; "
            "clients score blocks on their data by forward passes alone, the server counts their "
            "votes, and clocks are paced so that a deadline is just met. Beside it, training on "
            "boards most of which cannot hold what training takes.",
            "",
            *(f"- {sentence}" for sentence in said),
            "",
            "A sign counts as seen if it is the same in every seed, and as not seen otherwise. "
            "Numbers of several runs are means with least and highest in brackets. Rebuild with "
            "`hetsim report fedstitch`.",
        )
    )


def _first(found: Sequence[Target], number: int) -> str:
    target = next(each for each in found if each.number == number)
    what = f"{target.what[:1].upper()}{target.what[1:]}"
    return f"{what}: {target.found} (the article: {target.article})."


def _savings(pairs: Sequence[Row]) -> str:
    parts = [
        f"{spread(saving(pairs, column), 100.0)} % less ({words})"
        for words, column in ACCOUNTS.items()
    ]
    return "; ".join(parts) if pairs else NOT_RUN


def _gap(runs: Runs, alpha: float) -> str:
    parts = [
        f"{name} {100 * mean(gains):+.1f} ({', '.join(f'{100 * each:+.1f}' for each in gains)})"
        for name in runs.baselines
        for gains in [list(runs.gain(alpha, name).values())]
        if gains
    ]
    return (
        f"Accuracy at {skew(alpha)}, points above the best that each baseline ever had, mean and "
        f"by seed, tight memory: {'; '.join(parts) or NOT_RUN}."
    )


def _frozen(runs: Runs, alpha: float) -> str:
    """Whether stitching is worth more than the best network alone, its features frozen."""
    alone, stitched = runs.alone(alpha), runs.ends(alpha, STITCHED)
    best = max(alone, key=lambda model: mean(alone[model].values()))
    gains = less({seed: row["final"] for seed, row in stitched.items()}, alone[best])
    above = sum(gain > 0.0 for gain in gains)
    verdict = {0: "does not beat", len(gains): "beats"}.get(above, "does not always beat")
    return (
        f"Stitching {verdict} the best network of the zoo alone, frozen with a ridge classifier, "
        f"at {skew(alpha)}: {best} alone has {spread(alone[best].values(), 100.0)} %, FedStitch "
        f"{spread(known(stitched.values(), 'final'), 100.0)} %, more in {above} of {len(gains)} "
        f"seeds ({points(gains)} points).{_others(runs, alpha)}"
    )


def _deep(table: Table, target: str) -> str:
    """Whether published networks are worth more stitched than the best of them alone."""
    found: dict[str, dict[int, float]] = {}
    for row in table:
        if row["target"] == target:
            found.setdefault(row["zoo"], {})[row["seed"]] = row["accuracy"]
    stitched = found.pop("all", {})
    if not stitched or not found:
        return f"Published CIFAR-10 ResNets on {target.replace('_', ' ')}: {NOT_RUN}."
    best = max(found, key=lambda zoo: mean(found[zoo].values()))
    gains = less(stitched, found[best])
    return (
        f"Published CIFAR-10 ResNets on {target.replace('_', ' ')}: stitched of all four "
        f"{spread(stitched.values(), 100.0)} %, the best alone ({best}) "
        f"{spread(found[best].values(), 100.0)} %; {points(gains)} points by seed."
    )


def _others(runs: Runs, alpha: float) -> str:
    """How the other variants end."""
    parts = [
        f"{variant} {spread(known(rows.values(), 'final'), 100.0)} %"
        for variant in runs.variants
        if variant != DEFAULT and not variant.endswith(ALONE)
        for rows in [runs.ends(alpha, STITCHED, variant=variant)]
        if rows
    ]
    return f" Variants of FedStitch: {'; '.join(parts)}." if parts else ""


# --- chapters -------------------------------------------------------------------------------------


def _targets(found: Sequence[Target]) -> Chapter:
    return Chapter(
        title="Expectations",
        parts=(
            "Written down before the runs that are shown: the article's largest figures, and what "
            "the purpose of each part of it implies. What had been looked at before is told with "
            "the protocol.",
            Grid(
                columns=("", "expected", "article", "hetsim", "wanted", "verdict"),
                rows=[
                    (str(each.number), each.what, each.article, each.found, each.wanted,
                     each.word)
                    for each in found
                ],
            ),
            *causes(found),
        ),
    )  # fmt: skip


def _energy(runs: Runs) -> Chapter:
    return _chapter(
        "Joules by component and method",
        "What all clients draw in a whole run, mean over seeds: FedStitch's few steps, and all "
        "rounds of the others, which do not end at the same accuracy (see the next chapter for "
        "that). *Idle* is everything that a board draws for being there, whether it is asked or "
        "not, with its radio awake. What takes FedStitch apart is among the ablations.",
        runs.table,
        Chart(
            name="energy", caption=f"Kilojoules of all clients in a whole run, by component. "
            f"{_MARK}",
            draw=lambda figure: figures.draw_energy(figure, runs), height=5.2,
        ),
        Grid(
            columns=("skew", "way", "memory", "compute, kJ", "memory, kJ", "radio, kJ", "idle, kJ",
                     "total, kJ", "active, kJ", "participant, kJ", "server, kJ", "seconds"),
            rows=[
                (
                    skew(alpha), *place,
                    *(
                        spread(known(rows, column), factor)
                        for column, factor in (
                            *((column, 1e-3) for column, _ in figures.COMPONENTS.values()),
                            *((column, 1e-3) for column in ACCOUNTS.values()),
                            ("server_j", 1e-3), ("simulated_s", 1.0),
                        )
                    ),
                )
                for alpha in runs.alphas
                for place in runs.everywhere
                for rows in [runs.named(*place, alpha)]
                if rows
            ],
            source="ends",
        ),
    )  # fmt: skip


def _goals(runs: Runs) -> Chapter:
    rows = [
        (
            skew(alpha), name, memory,
            spread(known(pairs, "goal"), 100.0),
            f"{spread(known(pairs, 'stitched_rounds'))} : {spread(known(pairs, 'other_rounds'))}",
            spread(known(pairs, "stitched_simulated_s")),
            spread(known(pairs, "other_simulated_s")),
            spread(speedup(pairs)), spread(speedup(pairs, "whole")),
            *(spread(saving(pairs, column), 100.0) for column in ACCOUNTS.values()),
            spread(saving(pairs, ours="whole"), 100.0),
            spread(known(pairs, "stitched_bytes_down"), 1e-6),
            spread(known(pairs, "other_bytes_down"), 1e-6),
        )
        for alpha in runs.alphas
        for name in runs.baselines
        for memory in (NO_LIMIT, TIGHT, "loose")
        for pairs in [runs.pairs(name, memory, alpha=alpha)]
        if pairs
    ]  # fmt: skip
    return _chapter(
        "To the same accuracy",
        "For each seed, up to the lower of the two best accuracies; each run ends at its first "
        "score there. Joules of all clients: all that was drawn (total), what was drawn above base "
        "power (active), and what was drawn from being asked to the last needed act (participant). "
        "*To its last block*: all of FedStitch, and the baseline to the same accuracy as before.",
        rows,
        Grid(
            columns=("skew", "beside", "memory", "accuracy, %", "rounds, FedStitch : other",
                     "FedStitch, s", "other, s", "times as fast", "to its last block",
                     "less total, %", "less active, %", "less participant, %",
                     "to its last block, total", "FedStitch, MB down", "other, MB down"),
            rows=rows, source="goals",
        ),
    )  # fmt: skip


def _memory(peaks: Table, limits: Table) -> Chapter:
    free = {row["profile"]: row["free_b"] for row in limits}
    return _chapter(
        "Peak memory by method, against what each board has",
        "Exact, by the sizes of weights, gradients, momentum, saved activations and one batch; a "
        "forward pass holds weights, a batch and its largest layer. How many samples go forward at "
        "once (`at_once`, 8 by default) decides much of it, so a whole batch stands beside. "
        "Boards are those that could take part in the memory that their profiles leave free, all "
        "of it.",
        peaks,
        Chart(
            name="memory", caption="Peak memory of a client by method, and what boards have "
            f"(dashed); logarithmic. {_MARK}",
            draw=lambda figure: figures.draw_memory(figure, peaks, limits), height=7.2,
        ),
        Grid(
            columns=("network", "batch", "way", "peak, MB", "fits"),
            rows=[
                (
                    row["model"], str(row["batch"]), row["way"],
                    significant(row["peak_b"] / 1e6),
                    ", ".join(name for name, limit in free.items() if row["peak_b"] <= limit)
                    or "none",
                )
                for row in peaks
            ],
            source="memory",
        ),
    )  # fmt: skip


def _room(budgets: Table, networks: Table) -> Chapter:
    yes = {True: "yes", False: "no"}
    return Chapter(
        title="Who has room for what",
        parts=(
            "Accuracy is learned by a network small enough for two cores, so the room of a board "
            "is scaled as the network is: budget = share × free × need / need of ResNet-18 in "
            "batches of 64. So a board can train it exactly if it could train ResNet-18 in that "
            "share of its free memory. Multiply-adds are relative to what baselines train.",
            _grid(
                ("memory", "board", "boards", "free, MB", "share", "ResNet-18, batch 64, MB",
                 "could train it", "budget, MB", "need, MB", "takes part"),
                [
                    (
                        row["memory"], row["profile"], str(row["boards"]),
                        _mega(row["free_b"]), f"{row['share']:g}", _mega(row["reference_b"]),
                        yes[row["trains_reference"]], _mega(row["budget_b"]), _mega(row["need_b"]),
                        yes[row["trains"]],
                    )
                    for row in budgets
                ],
                "budgets",
            ),
            _grid(
                ("network", "width", "million multiply-adds", "relative", "training, MB",
                 "forward, MB"),
                [
                    (
                        row["model"], NONE if row["width"] is None else f"{row['width']:g}",
                        _mega(row["macs"]), f"{row['relative']:.2f}", _mega(row["train_b"]),
                        _mega(row["forward_b"]),
                    )
                    for row in networks
                ],
                "networks",
            ),
        ),
    )  # fmt: skip


def _accuracy(runs: Runs, longer: Table) -> Chapter:
    last, of = runs.unfinished
    return _chapter(
        "Accuracy against time and against joules",
        "Five classes of CIFAR-10; the zoo is pre-trained on pictures of the other five. *Best* is "
        "the best score of a run, *at the end* its last. *Left out*: clients that cannot hold what "
        "is asked of them. "
        f"{last} of {of} runs of baselines have their best score at their last evaluation."
        + _said_of_longer(longer),
        runs.curves,
        Chart(
            name="accuracy", caption="Test accuracy against simulated time and against the joules "
            f"of all clients (total); a line a run, dashed in loose memory. {_MARK}",
            draw=lambda figure: figures.draw_accuracy(figure, runs), height=6.6,
        ),
        Grid(
            columns=("skew", "way", "memory", "at the end, %", "best, %", "left out",
                     "peak memory, MB", "MB up", "MB down", "simulated, s"),
            rows=[
                (
                    skew(alpha), *place,
                    *(
                        spread(known(rows, column), factor)
                        for column, factor in (
                            ("final", 100.0), ("best", 100.0), ("excluded", 1.0),
                            ("peak_memory_b", 1e-6), ("bytes_up", 1e-6), ("bytes_down", 1e-6),
                            ("simulated_s", 1.0),
                        )
                    ),
                )
                for alpha in sorted({row["alpha"] for row in runs.table})
                for place in runs.places
                for rows in [runs.named(*place, alpha)]
                if rows
            ],
            source="ends",
        ),
    )  # fmt: skip


def _said_of_longer(longer: Table) -> str:
    """What more rounds gave those that were played on."""
    return (
        "".join(
            f" {row['method'].capitalize()}, {skew(row['alpha'])}, seed {row['seed']}, has at best "
            f"{100 * row['usual_best']:.1f} % (round {row['usual_at']} of {row['usual_rounds']}), "
            f"and {100 * row['longer_best']:.1f} % (round {row['longer_at']}) in "
            f"{row['longer_rounds']} rounds."
            for row in longer
        )
        or f" Longer runs: {NOT_RUN}."
    )


def _ablations(runs: Runs) -> Chapter:
    rows = [
        (
            skew(alpha), variant,
            *(
                spread(known(found, column), factor)
                for column, factor in (
                    ("final", 100.0), ("scored", 1.0), ("simulated_s", 1.0),
                    ("device_j", 1e-3), ("device_active_j", 1e-3), ("device_participant_j", 1e-3),
                )
            ),
            f"{sum(row['in_time'] for row in found)} of {sum(row['asked'] for row in found)}",
        )
        for alpha in sorted({row["alpha"] for row in runs.table})
        for variant in runs.variants
        for found in [list(runs.ends(alpha, STITCHED, variant=variant).values())]
        if found
    ]  # fmt: skip
    return _chapter(
        "Ablations: votes, pool, clocks, and what stitching is worth",
        "FedStitch with one thing changed at a time, tight memory: votes that all weigh the same, "
        "a pool that is never pruned, and every clock at its highest. What stitching is worth is "
        "told by the others. *Alone*: a zoo of one network, whose parts follow one another as they "
        "were made, so that little more is left than its frozen features with a ridge classifier. "
        "*One position*: clients vote for a whole network, and nothing is stitched. *Scored by "
        "function*: candidates are compared by what blocks give, not by labels. *Padded*: stitches "
        "match channels and are not fitted. *Free pool*: any block at any position.",
        rows,
        Chart(
            name="ablations", caption="Accuracy, joules above base power, and blocks scored at "
            f"all positions, a dot a seed. {_MARK}",
            draw=lambda figure: figures.draw_ablations(figure, runs, runs.variants),
            height=1.8 + 0.4 * len(runs.variants),
        ),
        Grid(
            columns=("skew", "FedStitch", "accuracy, %", "blocks scored", "seconds", "total, kJ",
                     "active, kJ", "participant, kJ", "in time"),
            rows=rows, source="ends",
        ),
    )  # fmt: skip


def _networks(runs: Runs) -> Chapter:
    rows = [
        (
            skew(row["alpha"]), row["variant"], row["memory"], str(row["seed"]), row["stitched"],
            _mega(row["stitched_macs"]), f"{row['relative']:.2f}", f"{100 * row['final']:.1f}",
            _mega(row["pool_b"]),
        )
        for row in runs.table
        if row["method"] == STITCHED and row["stitched"]
    ]  # fmt: skip
    return _chapter(
        "What was stitched",
        "The model and which quarter of it, at each position; multiply-adds of a forward pass, "
        "beside those of the network that baselines train.",
        rows,
        Grid(
            columns=("skew", "variant", "memory", "seed", "network", "million multiply-adds",
                     "of what baselines train", "accuracy, %", "pool to a client, MB"),
            rows=rows, source="ends",
        ),
    )  # fmt: skip


def _deadlines(table: Table, disturbed: Table) -> Chapter:
    places = dict.fromkeys((row["governor"], row["factor"]) for row in table)
    return Chapter(
        title="Joules by deadline",
        parts=(
            "FedStitch's steps with a fixed outcome, so that nothing but clocks differs: the "
            "server's deadline as a multiple of what the slowest of those whom it asks takes at "
            "the highest clocks. "
            "*race_to_idle* works at the highest clocks and rests, *deadline_oracle* knows what "
            "every setting takes.",
            *(
                (
                    Chart(
                        name="deadlines", caption="Joules of all clients by deadline. " + _MARK,
                        draw=lambda figure: figures.draw_deadlines(figure, table), height=3.8,
                    ),
                )
                if table
                else ()
            ),
            _grid(
                ("governor", "deadline, times the fastest", "active, kJ", "participant, kJ",
                 "total, kJ", "seconds", "in time"),
                [
                    (
                        governor, f"{factor:g}",
                        *(
                            spread(known(rows, column), 1e-3)
                            for column in
                            ("device_active_j", "device_participant_j", "device_j")
                        ),
                        spread(known(rows, "simulated_s")),
                        f"{sum(row['in_time'] for row in rows)} of "
                        f"{sum(row['asked'] for row in rows)}",
                    )
                    for governor, factor in places
                    for rows in [
                        [row for row in table if (row["governor"], row["factor"])
                         == (governor, factor)]
                    ]
                ],
                "deadlines",
            ),
            "A simulated board keeps its speed. So jobs of 200 minibatches on measured sweeps "
            "(github.com/hongpeng-guo/BoFL@c89944d), of which a tenth is known, with their speed "
            "changed by up to 20 % either way: once a job, or from minibatch to minibatch. "
            "*Planned once*: the best mix of settings for what is believed, whatever comes. "
            "Deadlines count that are kept at the highest clocks under the same change; joules are "
            "beside those.",
            _grid(
                ("pacer", "sweep", "speed changes", "deadlines kept", "joules, %"),
                [
                    (
                        pacer, sweep, f"by {kind}", _share_met(rows),
                        spread((_relative(row) for row in rows), 100.0),
                    )
                    for (sweep, kind, pacer), rows in _grouped(disturbed).items()
                ],
                "disturbed",
            ),
        ),
    )  # fmt: skip


def _grouped(table: Table) -> dict[tuple[str, str, str], list[Row]]:
    """By sweep, kind of change and pacer."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in table:
        groups.setdefault((row["sweep"], row["kind"], row["pacer"]), []).append(row)
    return groups


def _share_met(rows: Sequence[Row]) -> str:
    met, whole = (sum(row[name] for row in rows) for name in ("met", "of"))
    return f"{100 * met / whole:.1f} % of {whole}" if whole else NONE


def _relative(row: Row) -> float:
    return row["joules"] / row["highest_joules"] - 1.0


def _totals(table: Table) -> Chapter:
    return _chapter(
        "Bytes, seconds and joules with large networks too",
        "Runs in which nothing is learned: FedStitch with a fixed outcome, and 100 rounds of "
        "FedAvg, on the same boards without a limit of memory, highest clocks. *Pool sent anew*: "
        "clients keep nothing, so network and pool travel again for each position.",
        table,
        Grid(
            columns=("networks", "method", "rounds", "MB up", "MB down", "seconds", "total, kJ",
                     "active, kJ", "participant, kJ", "TFLOP of clients"),
            rows=[
                (
                    row["network"], row["method"], str(row["rounds"]), _mega(row["bytes_up"]),
                    _mega(row["bytes_down"]), significant(row["simulated_s"]),
                    *(significant(row[column] / 1e3) for column in ACCOUNTS.values()),
                    NONE if row["flops"] is None else significant(row["flops"] / 1e12),
                )
                for row in table
            ],
            source="totals",
        ),
    )  # fmt: skip


def _published(table: Table) -> Chapter:
    places = list(dict.fromkeys((row["target"], row["zoo"]) for row in table))
    return _chapter(
        "Blocks of published networks on other tasks",
        "ResNet-20, 32, 44 and 56 as published for CIFAR-10 "
        "(github.com/akamaster/pytorch_resnet_cifar10), never trained further: all four as the "
        "zoo, and each alone, which is its own frozen features with a ridge classifier. Labels "
        "fall to clients at α = 0.5.",
        table,
        Grid(
            columns=("target", "zoo", "accuracy, %", "by seed"),
            rows=[
                (
                    target, zoo, spread(found, 100.0),
                    ", ".join(f"{100 * each:.1f}" for each in found),
                )
                for target, zoo in places
                for found in [
                    known(
                        (row for row in table if (row["target"], row["zoo"]) == (target, zoo)),
                        "accuracy",
                    )
                ]
            ],
            source="published",
        ),
    )  # fmt: skip


def _protocol(settings: Mapping[str, Mapping[str, Any]]) -> Chapter:
    learned = settings["stitching"]
    return Chapter(
        title="Protocol",
        parts=(
            "The protocol was written before the runs that are shown. Looked at before: a trial of "
            "one seed, broken off half-way, whose zoo was pre-trained too little, and smaller "
            "trials on digits. What takes FedStitch apart, the longer baselines and the row of a "
            "pool sent anew were added to it later.",
            f"- Task: classes 0 to 4 of CIFAR-10; the zoo (resnet8, plain_cnn, separable_cnn, "
            f"wide_cnn) is pre-trained on at most {learned['source']:,} pictures of classes 5 to 9 "
            f"in {learned['epochs']} epochs of batches of 32, lr 0.05, momentum 0.9, once for all "
            "runs. No client holds and no test asks for one of them.\n"
            f"- 20 clients of {learned['samples']} pictures, Dirichlet "
            f"{' and '.join(f'{each:g}' for each in learned['alphas'])}, {learned['cohort']} a "
            f"round, {len(learned['seeds'])} seeds; scores on those of {learned['test']:,} test "
            "pictures that show one of the task's classes, about half.\n"
            "- Boards: ten Raspberry Pi Zero 2 W, five Pi 3B+, two Pi 4, two Jetson Nano and a "
            "Jetson TX2, on two Wi-Fi access points (`topologies/stitch_lab.yaml`).\n"
            "- Memory: *loose*, all that a profile leaves free, and half of the boards could train "
            "ResNet-18 in batches of 64; *tight*, half of it, the other half being for what the "
            "board is there for (assumed), and five of twenty could.\n"
            f"- Baselines train plain_cnn from scratch, {learned['rounds']} rounds of one epoch in "
            f"batches of 32, lr 0.05, momentum 0.9, scored every {learned['every']} rounds. "
            "Memory-blind FedAvg has boards without a limit; exclusive leaves out who cannot hold "
            "it; all-small gives all the slice of the smallest board, best small is a network "
            "narrow enough for all; width-scaled is HeteroFL and depth-scaled DepthFL by memory; "
            "fine-tuning starts from the pre-trained plain_cnn, of those that can hold it.\n"
            "- Clocks: `deadline_feedback` for FedStitch, the highest for all others.\n"
            "- The pool is downloaded once by each client and charged; pre-training is charged to "
            "nobody.\n"
            "- Accuracy compares FedStitch at its end with the best score of a baseline. Votes are "
            "compared at nearly equal shares of labels too.",
        ),
    )


def _reconstructed() -> Chapter:
    return Chapter(
        title="What is known of FedStitch and what is reconstructed",
        parts=(
            '- The article: Zhan, Wu, Tian, Zhao and Li, "Heterogeneity-Aware Coordination for '
            'Federated Learning via Stitching Pre-trained blocks", IWQoS 2024, arXiv 2409.07202. '
            "Its abstract and third-party summaries were at hand; its body was not, and there is "
            "no code.\n"
            "- Known: networks are cut into starting, intermediate and terminating blocks; clients "
            "hold the pool, score every candidate by centred kernel alignment on their data and "
            "propose the best few; an epsilon-greedy policy adjusts the weights of their votes; "
            "the pool shrinks by the scores; clocks follow feedback under the server's deadline. "
            "Data sets were CIFAR-10, CIFAR-100 and CINIC-10.\n"
            "- Reconstructed: what the scores compare, how many are proposed, how votes and "
            "rewards are computed, which blocks are dropped, the form of a stitch (a 1x1 "
            "convolution whose weights are a ridge fit from summed Gram matrices), the classifier "
            "(likewise), deadlines and the controller, zoo, boards, clients and baselines. So "
            "directions and orders of magnitude are compared, and no table.",
        ),
    )


# --- words ----------------------------------------------------------------------------------------


def _chapter(title: str, words: str, rows: Sequence[Any], *parts: str | Grid | Chart) -> Chapter:
    """A chapter that says so where there is nothing to show."""
    return Chapter(title=title, parts=(words, *(parts if rows else (f"{NOT_RUN.capitalize()}.",))))


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], source: str) -> Grid | str:
    return Grid(columns=columns, rows=rows, source=source) if rows else f"{source}: {NOT_RUN}."


def _mega(value: float | None) -> str:
    return NONE if value is None else significant(value / 1e6)
