"""Capacity planning: which fleet and which settings meet some goals, and at what price.

`plan.yaml` says what was asked and is the first file. A search (`hetsim.study.search`) proposes
configurations, a ladder (`hetsim.study.ladder`) evaluates them over one store; each run is kept, so
that a killed plan goes on. In the end the steps from the chosen configuration are taken: what does
one more gateway buy? Nothing in the results depends on who played the runs.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hetsim.core.errors import Interrupted, SpecError
from hetsim.core.files import placed
from hetsim.core.rng import rng
from hetsim.report import plan_page
from hetsim.spec.schema import Spec, load_topology
from hetsim.spec.world import resolve
from hetsim.study import folder as run_folder
from hetsim.study import goals as _goals
from hetsim.study import planned
from hetsim.study import prices as _prices
from hetsim.study import space as _space
from hetsim.study.campaign import Players
from hetsim.study.errand import Means
from hetsim.study.goals import QUANTITIES, Goal
from hetsim.study.ladder import Candidate, Ladder, lowered
from hetsim.study.planned import ERRAND, EVALUATIONS, FRONT, PAGE, RESULT, Planned, Step
from hetsim.study.prices import Prices
from hetsim.study.search import Search, Told
from hetsim.study.space import Choice, Scale, Space

LOOKED_AT = 200
"""Configurations that are looked at, unless the user says how many."""
_COMPANIONS = 8
"""Companies of other values in which a value that is refused is tried once more."""
_NEAR = 8
"""Configurations that are played to the end where none was, to find the nearest miss."""
_ROUNDS = 20
"""Improvements of the chosen configuration by single steps, at most."""
_FIRST = ("price", "energy", "device_energy", "active_energy", "time", "bytes")
"""What the chosen configuration has least of: the first of these that is an objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a plan is of.

    Attributes:
        topology: file, or name of a topology that comes with hetsim.
        goals: texts such as "time<=4 h".
        vary: texts such as "governor=performance,powersave" or "fleet[0].count=1..8".
        prices: texts such as "raspberry_pi_4b=75".
        minimise: names of quantities; left out, those of goals on time, joules and bytes, and the
            price if there are prices.
        maximise: likewise; of no effect on the default.
        seeds: in all of which a goal must hold; left out, the topology's own.
        evaluations: configurations to look at, besides the steps from the chosen one.
        few: rounds of the rung before the last; left out, a fifth.
        plan_seed: of the search.
        overrides: of all configurations, texts as of `--set`.
    """

    topology: str
    goals: tuple[str, ...]
    vary: tuple[str, ...]
    prices: tuple[str, ...] = ()
    minimise: tuple[str, ...] = ()
    maximise: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    evaluations: int = LOOKED_AT
    few: int | None = None
    plan_seed: int = 0
    overrides: tuple[str, ...] = ()


def seeds(text: str) -> tuple[int, ...]:
    """Seeds as they are written.

    >>> seeds("0,1,2")
    (0, 1, 2)

    Raises:
        SpecError: one is no whole number from zero up.
    """
    found = [part.strip() for part in text.split(",")] if text else []
    for part in found:
        if not re.fullmatch("[0-9]{1,18}", part):
            what = f'"{part}" is no seed.'
            raise SpecError(what, where=f"--seeds {text}", remedy="Write for example 0,1,2.")
    return tuple(map(int, found))


def plan(
    asked: Asked, *, out: Path | None = None, home: Path = Path("runs"), means: Means | None = None
) -> Planned:  # fmt: skip
    """Search for configurations that meet the goals; write the table, the front and the page.

    Args:
        asked: what to plan.
        out: the folder; by default `plan-<name>-<hash>` in `home`.
        home: where that is.
        means: how to play it on this host.

    Raises:
        SpecError: what was asked is wrong, or the folder is another plan's; nothing has been played
            then.
        Interrupted: the user stopped it; the message says how to go on.
        HetsimError: this host cannot go on.
    """
    return _plan(asked, out, home, means or Means(), None)


def resume(folder: Path, *, topology: str | None = None, means: Means | None = None) -> Planned:
    """Go on with the plan in `folder`.

    Args:
        folder: of a plan.
        topology: where its topology is now, if it was moved.
        means: how to play it; data and store are those it was begun with where it names none.

    Raises:
        SpecError: there is no plan in the folder.
        HetsimError: what it is made of has changed since.
    """
    asked, digest = _asked(folder)
    begun = ERRAND.begun(folder)
    asked = replace(asked, topology=topology or begun.get("topology") or asked.topology)
    return _plan(asked, folder, folder, (means or Means()).after(begun), digest)


def _plan(
    asked: Asked, out: Path | None, home: Path, means: Means, begun: str | None
) -> Planned:  # fmt: skip
    """Plan in `out`; `begun` is the hash of the plan that it must be."""
    goals, prices = _goals.goals(asked.goals), _prices.prices(asked.prices)
    spec = load_topology(asked.topology, overrides=asked.overrides)
    space = _space.space(asked.vary, gateways=len(spec.gateways))
    objectives = _objectives(asked, goals, prices)
    _check(asked, spec, goals, objectives, prices, space)
    scenario = resolve(spec, means.data)
    digest = _digest(asked, [scenario.digest, spec.seed])
    ERRAND.check_same(out, begun, digest)
    folder = out or home / f"plan-{spec.name}-{digest[:8]}"
    ladder = Ladder(
        topology=asked.topology, overrides=asked.overrides, space=space, goals=goals,
        objectives=objectives, prices=prices, seeds=asked.seeds or (None,), few=asked.few,
        work=folder, means=means, players=Players(means.jobs, ray=means.ray),
    )  # fmt: skip
    try:
        _try_values(ladder, asked.plan_seed)
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted: nothing had been played yet") from stop
    ERRAND.begin(
        folder, _plain(asked), digest,
        topology=asked.topology, data=means.data, store=means.store,
    )  # fmt: skip
    try:
        kept = "configurations were looked at, and what was played is kept"
        with ERRAND.under_way(folder, lambda: f"{len(ladder.seen)} {kept}"):
            _search(ladder, asked)
            chosen, steps = _steps(ladder)
            found = planned.put_together(
                spec.name, folder, ladder, chosen, steps, free=prices.free(spec) if prices else []
            )
            _write(found, ladder, means)
    finally:
        ladder.players.end()
    return found


# --- what is asked --------------------------------------------------------------------------------


def _objectives(asked: Asked, goals: Sequence[Goal], prices: Prices) -> tuple[str, ...]:
    """Names of the objectives."""
    found: dict[str, None] = {}
    for option, names in (("--minimise", asked.minimise), ("--maximise", asked.maximise)):
        for name in names:
            where = f"{option} {name}"
            about = _goals.quantity(name, where)
            if about.high != (option == "--maximise"):
                other = "--maximise" if about.high else "--minimise"
                what = f"{name} is wanted {'high' if about.high else 'low'}."
                raise SpecError(what, where=where, remedy=f"Write {other} {name}.")
            found[name] = None
    if not found:
        named = [goal.quantity for goal in goals if goal.quantity in _FIRST]
        found = dict.fromkeys(named or ["time", "energy"])
    if prices and not asked.minimise:
        found["price"] = None
    return tuple(found)


def _check(
    asked: Asked, spec: Spec, goals: Sequence[Goal], objectives: Sequence[str], prices: Prices,
    space: Space,
) -> None:  # fmt: skip
    """Refuse what contradicts itself, or cannot be told.

    Raises:
        SpecError: see above.
    """
    if not prices and "price" in (*objectives, *(goal.quantity for goal in goals)):
        remedy = "Add prices, such as --price raspberry_pi_4b=75."
        raise SpecError("nothing has a price.", where="--price", remedy=remedy)
    known = [item.names[0] for item in _prices.items(spec)]
    chosen = [value for each in space.dimensions if isinstance(each, Choice)
              for value in each.values]  # fmt: skip
    prices.check({*known, *chosen, *(word for text in chosen for word in _words(text))})
    learned = [name for name in (*objectives, *(goal.quantity for goal in goals))
               if QUANTITIES[name].learned]  # fmt: skip
    if learned and spec.cost_only and getattr(spec, "surrogate", None) is None:
        raise SpecError(
            f"a cost-only run tells no {learned[0]}.",
            where="--cost-only",
            remedy="Leave it out, or leave accuracy out of goals and objectives.",
        )
    if spec.stop.accuracy is not None and "accuracy" in asked.maximise:
        raise SpecError(
            "the topology stops at an accuracy, which is to be as high as can be.",
            where="--maximise accuracy",
            remedy="Leave out stop.accuracy.",
        )
    if len(set(asked.seeds)) < len(asked.seeds):
        raise SpecError("a seed is given twice.", where="--seeds", remedy="Keep one.")


def _words(text: str) -> list[str]:
    """Names inside a value such as "{technology: wifi, power: 6 W}"."""
    return "".join(sign if sign.isalnum() or sign in "_-." else " " for sign in text).split()


def _try_values(ladder: Ladder, seed: int) -> None:
    """Refuse a value with which no configuration that was tried can be a run.

    Raises:
        SpecError: that of the first one.
    """
    dimensions = ladder.space.dimensions
    stream = rng(seed, "sim/plan/companions")
    first = tuple(_values(each)[0] for each in dimensions)
    for place, each in enumerate(dimensions):
        for value in _values(each):
            companies = [first, *(ladder.space.drawn(stream) for _ in range(_COMPANIONS))]
            refused: SpecError | None = None
            for company in companies:
                point = (*company[:place], value, *company[place + 1 :])
                try:
                    ladder.try_out(point)
                    break
                except SpecError as error:
                    refused = refused or error
            else:
                assert refused is not None
                raise _by_option(refused, each.key, value)


def _by_option(error: SpecError, key: str, value: str) -> SpecError:
    """The error with the option that the user wrote."""
    found = f"{error.key}: {error.what}" if error.key and error.key != key else error.what
    return SpecError(found, where=f"--vary {key}={value}", remedy=error.remedy)


def _values(each: Choice | Scale) -> Sequence[str]:
    if isinstance(each, Choice):
        return each.values
    return each.text(each.range.low), each.text(each.range.high)


def _digest(asked: Asked, base: Sequence[Any]) -> str:
    """Names the plan by what it starts from and what is asked."""
    plain = {key: value for key, value in _plain(asked).items() if key not in ("topology", "set")}
    content = json.dumps([plain, list(base)], separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _plain(asked: Asked) -> dict[str, Any]:
    plain: dict[str, Any] = {"topology": asked.topology, "set": list(asked.overrides)}
    for name in ("goals", "vary", "prices", "minimise", "maximise", "seeds"):
        plain[name] = list(getattr(asked, name))
    plain |= {"evaluations": asked.evaluations, "plan_seed": asked.plan_seed}
    return plain | ({} if asked.few is None else {"few": asked.few})


def _asked(folder: Path) -> tuple[Asked, str]:
    """What the plan in `folder` is of, and its hash."""
    data, digest = ERRAND.asked(folder)
    try:
        texts = {name: tuple(data[name]) for name in
                 ("goals", "vary", "prices", "minimise", "maximise", "seeds")}  # fmt: skip
        return Asked(
            topology=str(data["topology"]), overrides=tuple(data["set"]), **texts,
            evaluations=data["evaluations"], plan_seed=data["plan_seed"], few=data.get("few"),
        ), digest  # fmt: skip
    except (LookupError, TypeError) as fault:
        raise ERRAND.spoilt(folder, fault) from fault


# --- the search -----------------------------------------------------------------------------------


def _search(ladder: Ladder, asked: Asked) -> None:
    """Look at as many configurations as were granted."""
    most = int(min(asked.evaluations, ladder.space.size))
    search = Search(
        space=ladder.space, objectives=len(ladder.objectives), seed=asked.plan_seed, most=most
    )
    ladder.means.progress(0, most)
    while points := search.ask():
        found = ladder.evaluate(points)
        search.tell([_told(each, ladder) for each in found])
        ladder.means.progress(len(ladder.seen), most)


def _told(candidate: Candidate, ladder: Ladder) -> Told:
    """What the search is told of a configuration; one that cannot be played misses all goals."""
    if candidate.failed:
        misses = (1e9,) * len(ladder.goals)
        return Told(values=(None,) * len(ladder.objectives), misses=misses)
    known = {**candidate.least, **candidate.values}
    values = tuple(
        None if known.get(name) is None else lowered(name, known[name])
        for name in ladder.objectives
    )
    return Told(values=values, misses=tuple(candidate.misses(ladder.goals)))


def _steps(ladder: Ladder) -> tuple[Candidate | None, list[Step]]:
    """The chosen configuration, or the nearest miss, and the steps around it.

    While a step leads to a better one, that is chosen.
    """
    chosen = choose(ladder)
    for left in reversed(range(_ROUNDS)):
        if chosen is None:
            break
        beside = ladder.space.beside(chosen.point)
        points = [point for _, point in beside]
        new = sum(point not in ladder.seen for point in points)
        ladder.means.progress(len(ladder.seen), len(ladder.seen) + new)
        ladder.evaluate(points, step=True)
        better = choose(ladder)
        if better is chosen or not left:
            found = ladder.complete(points)
            better = choose(ladder)
            if better is chosen or not left:
                return chosen, [
                    Step(place=place, to=each)
                    for (place, _), each in zip(beside, found, strict=True)
                ]
        chosen = better
    return None, []


def choose(ladder: Ladder) -> Candidate | None:
    """The cheapest configuration that meets all goals; where none does, the nearest miss."""
    best = ladder.best()
    if best:
        first = [name for name in _FIRST if name in ladder.objectives]
        names = (*first, *(name for name in ladder.objectives if name not in first))
        return min(best, key=lambda each: (*each.vector(names), each.number))
    playable = [each for each in ladder.seen.values() if not each.failed]
    if playable and not any(each.whole for each in playable):
        near = sorted(playable, key=lambda each: (_missed(each, ladder.goals), each.number))
        ladder.complete([each.point for each in near[:_NEAR]])
    whole = [each for each in ladder.seen.values() if each.whole and not each.failed]
    return min(whole, key=lambda each: (_missed(each, ladder.goals), each.number), default=None)


def _missed(candidate: Candidate, goals: Sequence[Goal]) -> float:
    """By how much it misses all goals together."""
    return sum(max(miss, 0.0) for miss in candidate.misses(goals))


# --- what is written ------------------------------------------------------------------------------


def _write(found: Planned, ladder: Ladder, means: Means) -> None:
    """The table, the front as topologies, the answer as JSON, the page."""
    folder = found.folder
    with placed(folder / EVALUATIONS) as file:
        found.write_table(file)
    shutil.rmtree(folder / FRONT, ignore_errors=True)
    run_folder.make(folder / FRONT, "--out")
    for name, each in found.files.items():
        run_folder.write(folder / name, _topology(each, found, ladder, means))
    told = (folder / ERRAND.file).read_text("utf-8")
    run_folder.write(folder / PAGE, plan_page.render(found.page(), asked=told))
    text = json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
    run_folder.write(folder / RESULT, text)


def _topology(each: Candidate, found: Planned, ladder: Ladder, means: Means) -> str:
    """A configuration as a complete topology file, with what it depends on beside it."""
    variant = ladder.whole(each.point, ladder.seeds[0])
    spec = load_topology(variant.topology, overrides=variant.overrides, seed=variant.seed)
    scenario = resolve(spec, means.data)
    scenario.copy_files(found.folder / FRONT)
    lines: Mapping[str, str] = found.story(each)
    head = "".join(f"# {title}: {text}\n" for title, text in lines.items())
    return f"{head}{scenario.text()}"
