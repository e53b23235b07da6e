"""The command line: each verb is a few lines over the public function of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from hetsim.core.errors import HetsimError, Interrupted, SpecError

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec
    from hetsim.study.errand import Means
    from hetsim.study.explain import Sheet


class _Verbs(TyperGroup):
    """The verbs; turns what hetsim raises on purpose into a message and an exit status."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a verb."""
        try:
            return super().main(*args, **kwargs)
        except Interrupted as error:
            status, message = 130, error
        except SpecError as error:
            status, message = 2, error
        except HetsimError as error:
            status, message = 1, error
        typer.echo(f"hetsim: {message}", err=True)
        raise SystemExit(status)


app = typer.Typer(
    name="hetsim",
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from hetsim import __version__

        print(f"hetsim {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """How long does it take, how many joules, who drops out, and how good does it get?"""


_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the topology; repeatable."),
]
_Seed = Annotated[int | None, typer.Option(min=0, help="Replaces the topology's seed.")]
_Store = Annotated[Path | None, typer.Option(metavar="DIR", help="Shared store of results.")]
_Player = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Who plays the runs: inline (default), pool, or ray (a cluster: that of $RAY_ADDRESS, "
        "or one started here).",
    ),
]
_Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Processes that play: one, or one a core of a pool or cluster.",
    ),
]
_ErrandOut = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder to write to; by default one in runs/."),
]
_GoOn = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Go on with what was begun in this folder."),
]
_CostOnly = Annotated[
    bool, typer.Option("--cost-only", help="Train nothing: time and joules only.")
]
_Surrogate = Annotated[
    Path | None,
    typer.Option(
        "--surrogate",
        metavar="RUN_DIR",
        help="Train nothing; take the accuracy from this finished run.",
    ),
]
_Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with the data sets.")
]


@app.command(epilog="Example: hetsim run topologies/iot_mix.yaml --set method.lr=0.05 --seed 1")
def run(
    topology: Annotated[str | None, typer.Argument(help="Topology file, or a name.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder.")] = None,
    seed: _Seed = None,
    set_: _Set = None,
    data: _Data = None,
    executor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who computes: inline (default), pool, ray or gpu."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes of a pool or of Ray; one a core."),
    ] = None,
    cost_only: _CostOnly = False,
    surrogate: _Surrogate = None,
    store: _Store = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep no results.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN_DIR", help="Go on with this run.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the folder.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.html.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the run folder only.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Simulate a topology and write its run folder."""
    from hetsim import screen
    from hetsim.study import simulate as study

    if topology is None and resume is None:
        raise SpecError("no topology", where="run", remedy="Example: hetsim run iot_mix")
    begun = resume is not None and (resume / "spec.yaml").is_file()
    if begun and (set_ or seed is not None or cost_only or surrogate or out or force):
        raise SpecError(
            "--set, --seed, --cost-only, --surrogate, --out and --force cannot change a run that "
            "has begun",
            where="--resume",
            remedy=f"Go on with it as it is: hetsim run --resume {resume}",
        )
    if store and no_store:
        raise SpecError("contradicts --store", where="--no-store", remedy="Leave one of them out.")
    overrides = [*(set_ or []), *_learns_nothing(cost_only, surrogate)]
    spec = _load(topology, overrides, seed) if topology else None
    with screen.progress(live=not (quiet or as_json)) as progress:
        settings = study.Settings(
            data=data, executor=executor, workers=workers, store=store, no_store=no_store,
            report=not no_report, progress=progress,
        )  # fmt: skip
        if resume is not None:
            result = study.resume(resume, topology=spec, settings=settings)
        else:
            assert spec is not None
            result = study.run(spec, out=out, force=force, settings=settings)
    if as_json:
        _print_json(result.summary | {"folder": str(result.folder)})
    elif quiet:
        print(result.folder)
    else:
        screen.closing(result)


@app.command(epilog="Example: hetsim sweep iot_mix --grid method.lr=0.01,0.1 --grid seed=0,1,2")
def sweep(
    context: typer.Context,
    topology: Annotated[str | None, typer.Argument(help="Topology file, or a name.")] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,…",
            help="Values of a key, or whole numbers (1..8); repeatable: all combinations.",
        ),
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=LOW..HIGH",
            help='Draw a key at random, from a range ("5..50 Mbit/s", "0.001..0.1 log") or of a '
            "list; repeatable.",
        ),
    ] = None,
    points: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many to draw; with --sample.")
    ] = None,
    sweep_seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    set_: _Set = None,
    out: _ErrandOut = None,
    executor: _Player = None,
    jobs: _Jobs = None,
    store: _Store = None,
    data: _Data = None,
    cost_only: _CostOnly = False,
    surrogate: _Surrogate = None,
    resume: _GoOn = None,
    as_json: _Json = False,
) -> None:
    """Play a topology at many points; write one table and one page. A killed sweep goes on."""
    from hetsim.study import what_if as study

    asking: dict[str, object] = {
        "--grid": grid, "--sample": sample, "--points": points,
        "--sweep-seed": _given(context, "sweep_seed"), "--set": set_, "--out": out,
        "--cost-only": cost_only or None, "--surrogate": surrogate,
    }  # fmt: skip
    begins = _begins("sweep", topology, resume, asking, "iot_mix --grid seed=0,1,2")
    with _means("point", executor, jobs, data, store, as_json) as means:
        if begins is None:
            assert resume is not None
            swept = study.resume(resume, topology=topology, means=means)
        else:
            asked = study.Asked(
                topology=begins, grid=tuple(grid or ()), sample=tuple(sample or ()),
                points=points or 0, sweep_seed=sweep_seed,
                overrides=(*(set_ or ()), *_learns_nothing(cost_only, surrogate)),
            )  # fmt: skip
            swept = study.sweep(asked, out=out, means=means)
    _print_json(swept.as_json()) if as_json else _show(swept.sheet(), as_json)


@app.command(
    epilog='Example: hetsim plan iot_mix --goal "time<=1 min" --vary "fleet[0].count=1..8" '
    "--vary governor=performance,powersave --price raspberry_pi_4b=75 --cost-only"
)
def plan(
    context: typer.Context,
    topology: Annotated[str | None, typer.Argument(help="Topology file, or a name.")] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GOAL",
            help='"accuracy>=0.85", "accuracy>=0.8 in 1 h", "time<=4 h", "energy<=50 kJ", '
            '"price<=2000", "battery_end>=20 %", "dropouts<=5 %"; repeatable.',
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,…",
            help="What may be chosen: a key with its values, or a range (1..8, "
            '"5..50 Mbit/s log"); repeatable. gateways.count takes the first ones.',
        ),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="What a device profile, technology, group, gateway, cell or line costs; "
            "repeatable.",
        ),
    ] = None,
    minimise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="time, energy, price, …: left out, those that have goals, and the price.",
        ),
    ] = None,
    maximise: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="accuracy, battery_end.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,2", help="Goals must hold in all of them.")
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="How many configurations to look at, besides steps from the best; 200.",
        ),
    ] = None,
    few: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Rounds of a first, short run; a fifth of all."),
    ] = None,
    plan_seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    set_: _Set = None,
    out: _ErrandOut = None,
    executor: _Player = None,
    jobs: _Jobs = None,
    store: _Store = None,
    data: _Data = None,
    cost_only: _CostOnly = False,
    surrogate: _Surrogate = None,
    resume: _GoOn = None,
    as_json: _Json = False,
) -> None:
    """Search for the cheapest fleet and settings that meet goals. A killed plan goes on."""
    from hetsim.study import plan as study

    asking: dict[str, object] = {
        "--goal": goal, "--vary": vary, "--price": price, "--minimise": minimise,
        "--maximise": maximise, "--seeds": seeds, "--evaluations": evaluations, "--few": few,
        "--plan-seed": _given(context, "plan_seed"), "--set": set_, "--out": out,
        "--cost-only": cost_only or None, "--surrogate": surrogate,
    }  # fmt: skip
    example = 'iot_mix --goal "time<=1 min" --vary "fleet[0].count=1..8"'
    begins = _begins("plan", topology, resume, asking, example)
    with _means("configuration", executor, jobs, data, store, as_json) as means:
        if begins is None:
            assert resume is not None
            found = study.resume(resume, topology=topology, means=means)
        else:
            asked = study.Asked(
                topology=begins, goals=tuple(goal or ()), vary=tuple(vary or ()),
                prices=tuple(price or ()), minimise=tuple(minimise or ()),
                maximise=tuple(maximise or ()), seeds=study.seeds(seeds or ""),
                evaluations=evaluations or study.LOOKED_AT, few=few, plan_seed=plan_seed,
                overrides=(*(set_ or ()), *_learns_nothing(cost_only, surrogate)),
            )  # fmt: skip
            found = study.plan(asked, out=out, means=means)
    told = {"folder": str(found.folder), "played": found.played}
    _print_json(found.as_json() | told) if as_json else _show(found.sheet(), as_json)


@app.command(epilog="Example: hetsim check topologies/iot_mix.yaml")
def check(
    topology: Annotated[str, typer.Argument(help="Topology file, or a name.")],
    seed: _Seed = None,
    set_: _Set = None,
    data: _Data = None,
    cost_only: Annotated[
        bool, typer.Option("--cost-only", help="What if nothing was trained.")
    ] = False,
    surrogate: _Surrogate = None,
    as_json: _Json = False,
) -> None:
    """Validate a topology; say what would be simulated and what that takes. Runs nothing."""
    from hetsim import screen
    from hetsim.study.topology_page import look

    overrides = [*(set_ or ()), *_learns_nothing(cost_only, surrogate)]
    found = look(_load(topology, overrides, seed), data)
    if as_json:
        _print_json(found.as_json())
    else:
        _show(found.sheet(), as_json)
        screen.good(f"{topology} is valid.")


@app.command(
    epilog="Example: hetsim explain device raspberry_pi_4b   |   hetsim explain run runs/iot_mix-…"
)
def explain(
    kind: Annotated[
        str | None, typer.Argument(help="device, method, network, policy, topology or run.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="Without it: the list.")] = None,
    as_json: _Json = False,
) -> None:
    """Say what a thing is, in words and numbers, with the sources of its numbers."""
    from hetsim.study.explain import explain as sheet_of

    _show(sheet_of(kind, name), as_json)


@app.command(epilog="Example: hetsim schema > topology.schema.json")
def schema(as_json: _Json = False) -> None:
    """Print the JSON Schema of the topology file, for editors."""
    del as_json  # it is JSON in any case
    from hetsim.spec.schema import json_schema

    _print_json(json_schema())


validate = typer.Typer(no_args_is_help=True)
app.add_typer(
    validate,
    name="validate",
    help="Compare hetsim with measurements and other simulators; each takes --json.",
    epilog="Example: hetsim validate network oracle/   |   hetsim validate devices rows.yaml",
)


@validate.command(epilog="Example: hetsim validate network oracle/ --json")
def network(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of scenarios/*.json and expected/*.json.")
    ],
    as_json: _Json = False,
) -> None:
    """Play scenarios whose answers are known; exit 1 if an error is above 1e-6."""
    from hetsim import screen
    from hetsim.study.validate_network import validate_network

    with screen.counting("scenario", live=not as_json) as progress:
        validation = validate_network(folder, progress)
    if as_json:
        _print_json(validation.as_json())
    else:
        screen.show(validation.sheet())
    if not validation.passed:
        raise typer.Exit(1)


@app.command(epilog="Example: hetsim calibrate sweep.csv --fraction 0.1 --out my_board.yaml")
def calibrate(
    context: typer.Context,
    sweep: Annotated[
        Path,
        typer.Argument(metavar="SWEEP.csv", help="Clock settings, seconds and joules a minibatch."),
    ],
    fraction: Annotated[float, typer.Option(help="Share of the rows to fit, at random.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that choice and of the folds.")] = 0,
    design: Annotated[
        int | None,
        typer.Option(metavar="N", help="Name the N settings most worth measuring; fit those."),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Fit the rows of this file.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="SWEEP.csv",
            help="Tell the workload from this full sweep of the board under another one.",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --from: use N settings, chosen before they are seen."),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(metavar="TIME", help='With --from: cheapest setting in time ("1.5 s").'),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PROFILE.yaml", help="Write a device profile.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="Take memory, radios, battery and heat from there."),
    ] = None,
    flops: Annotated[
        float | None, typer.Option(help="Floating-point operations of a minibatch.")
    ] = None,
    traffic: Annotated[
        str | None, typer.Option(metavar="SIZE", help='Bytes a minibatch moves ("3.8 GB").')
    ] = None,
    operators: Annotated[
        float | None, typer.Option(help="Tensor operators that a minibatch launches.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Fit time and energy of a device to a DVFS sweep, and say how well it predicts the rest."""
    if source is not None:
        fitting: dict[str, object] = {
            "--train": train, "--out": out, "--base": base,
            "--flops": flops, "--traffic": traffic, "--operators": operators,
            "--fraction": _given(context, "fraction"), "--seed": _given(context, "seed"),
        }  # fmt: skip
        _refuse(fitting, "does not go with --from", "Leave one of them out.")
        if points is not None:
            _refuse({"--design": design}, "says the same as --points", "Leave one of them out.")
        from hetsim.study.carry import carry

        carried = carry(
            sweep, source, points=design if points is None else points, deadline=deadline
        )
        if as_json:
            _print_json(carried.as_json())
        else:
            _show(carried.sheet(), as_json)
        return
    for option, chooses in (("--train", train), ("--design", design)):
        if chooses is not None:
            share: dict[str, object] = {"--fraction": _given(context, "fraction")}
            _refuse(share, f"does not go with {option}", "Leave one of them out.")
    telling = {"--points": points, "--deadline": deadline}
    _refuse(telling, "goes with --from only", "Add --from SWEEP.csv, another workload's sweep.")
    from hetsim.study import calibrate as study
    from hetsim.study.fitted_profile import Workload, write_profile

    if out is None and (base, flops, traffic, operators) != (None, None, None, None):
        what = "without --out there is no profile to put them into"
        remedy = "Add --out PROFILE.yaml."
        raise SpecError(what, where="--base, --flops, --traffic, --operators", remedy=remedy)
    workload = Workload.of(flops, traffic, operators)
    found = study.calibrate(sweep, fraction=fraction, seed=seed, design=design, train=train)
    written = write_profile(found, out, base=base, workload=workload) if out else None
    if as_json:
        _print_json(found.as_json() | (written.as_json() if written else {}))
        return
    _show(found.sheet(), as_json)
    if written:
        print(written.words())


@app.command(epilog="Example: hetsim pace sweep.csv --ratio 1.2 --policy deadline_feedback")
def pace(
    sweep: Annotated[
        Path,
        typer.Argument(metavar="SWEEP.csv", help="Clock settings, seconds and joules a minibatch."),
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A governor that plans for a deadline; repeatable."),
    ] = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(help="Deadline, times the fastest setting's time; repeatable."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs, one after the other.")] = 20,
    items: Annotated[int, typer.Option(min=1, help="Minibatches of each job.")] = 200,
    fraction: Annotated[
        float, typer.Option(help="Share of the rows that policies know, at random.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that choice.")] = 0,
    idle: Annotated[
        str, typer.Option(metavar="POWER", help='What the board draws at rest ("2.5 W").')
    ] = "0 W",
    as_json: _Json = False,
) -> None:
    """Say what pacing jobs by their deadlines would save on a board that was swept."""
    from hetsim.study.pace_page import paces

    found = paces(
        sweep, policies=policy, ratios=ratio, jobs=jobs, items=items, fraction=fraction,
        seed=seed, idle=idle,
    )  # fmt: skip
    if as_json:
        _print_json(found.as_json())
    else:
        _show(found.sheet(), as_json)


@validate.command(epilog="Example: hetsim validate devices measurements.yaml --json")
def devices(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML file with a list `measurements:`.")
    ],
    as_json: _Json = False,
) -> None:
    """Predict measured rows by the profiles of their devices; say which cannot be, and why."""
    from hetsim import screen
    from hetsim.study.validate_devices import validate_devices

    validation = validate_devices(file)
    if as_json:
        _print_json(validation.as_json())
    else:
        screen.show(validation.sheet())


@app.command(epilog="Example: hetsim report physics --scale smoke")
def report(
    name: Annotated[str | None, typer.Argument(help="Without it: the list.")] = None,
    scale: Annotated[str, typer.Option(help="smoke, small (what is committed) or full.")] = "small",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the page.")] = None,
    measured: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of measured data and oracles.")
    ] = None,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Draw again from the tables in the folder.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make comparisons again that are kept from before.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Rebuild a report under reports/: make its comparisons, write tables and figures."""
    from hetsim.study import report as study

    if name is None:
        _show(study.list_reports(), as_json)
        return
    folder = study.rebuild(
        name, scale=scale, out=out, measured=measured, redraw=redraw, fresh=fresh,
        progress=lambda text: typer.echo(f"{name}: {text}", err=True),
    )  # fmt: skip
    if as_json:
        _print_json({"report": name, "scale": scale, "folder": str(folder)})
    else:
        print(folder / "index.md")


def _learns_nothing(cost_only: bool, surrogate: Path | None) -> list[str]:
    """The options of a run that learns nothing, as `--set` takes them."""
    if surrogate is None:
        return ["cost_only=true"] if cost_only else []
    folder = json.dumps(str(surrogate.resolve()), ensure_ascii=False)
    return ["cost_only=true", f"surrogate.run={folder}"]


def _begins(
    verb: str, topology: str | None, resume: Path | None, asking: dict[str, object], example: str
) -> str | None:
    """The topology that is asked about; None if what was asked before is to be gone on with."""
    if resume is not None:
        remedy = f"Go on with it as it is: hetsim {verb} --resume {resume}"
        _refuse(asking, f"cannot change a {verb} that has begun", remedy)
        return None
    if topology is None:
        raise SpecError("no topology", where=verb, remedy=f"Example: hetsim {verb} {example}")
    return topology


@contextmanager
def _means(
    noun: str, executor: str | None, jobs: int | None, data: Path | None, store: Path | None,
    as_json: bool,
) -> Iterator[Means]:  # fmt: skip
    """How many runs are played here, with a bar that counts those of a noun."""
    from hetsim import screen
    from hetsim.study.errand import Means

    with screen.sharing(noun, live=not as_json) as progress:
        yield Means.of(
            executor, jobs=jobs, data=data, store=store, progress=progress,
            note=lambda text: typer.echo(f"hetsim: {text}", err=True),
        )  # fmt: skip


def _given(context: typer.Context, name: str) -> object:
    """The value of an option that the user wrote; None if it is the default."""
    source = context.get_parameter_source(name)
    written = source is not None and source.name == "COMMANDLINE"
    return context.params[name] if written else None


def _refuse(options: dict[str, object], why: str, remedy: str) -> None:
    """Refuse options of another way to use a verb, instead of ignoring them."""
    for option, value in options.items():
        if value is not None:
            raise SpecError(why, where=option, remedy=remedy)


def _load(topology: str, overrides: Sequence[str], seed: int | None) -> Spec:
    """The topology, with a line on stderr for each option that `--set` dropped."""
    from hetsim.spec.schema import load_topology

    spec = load_topology(topology, overrides=overrides, seed=seed)
    for note in spec.notes:
        typer.echo(f"hetsim: {note}", err=True)
    return spec


def _show(sheet: Sheet, as_json: bool) -> None:
    from hetsim import screen

    if as_json:
        _print_json(sheet.as_json())
    else:
        screen.show(sheet)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0 done, 1 failed, 2 wrong input or 130 interrupted."""
    app(arguments)
