"""The walls of the house, checked on the syntax tree of every module.

Each room may import certain rooms; each heavy library lives in one room; nothing reads the host's
clock, prints, seeds a global generator or unpickles a file. An import counts wherever it stands:
inside a function, behind `TYPE_CHECKING`, or as the text given to `import_module`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "hetsim"
MODULES = sorted(PACKAGE.rglob("*.py"))

ANYTHING = ("hetsim",)
ROOMS = {
    "hetsim": ANYTHING,  # the public face; that it is lazy is tested below
    "hetsim.__main__": ("hetsim.cli",),
    "hetsim.cli": (
        "hetsim.core", "hetsim.spec", "hetsim.study", "hetsim.report", "hetsim.screen",
    ),
    "hetsim.screen": ("hetsim.core", "hetsim.spec", "hetsim.study", "hetsim.report"),
    "hetsim.testing": ANYTHING,
    "hetsim.core": (),
    "hetsim.sim": ("hetsim.core",),
    "hetsim.learn": ("hetsim.core",),
    "hetsim.federation": ("hetsim.core", "hetsim.sim", "hetsim.learn"),
    "hetsim.methods": (
        "hetsim.core", "hetsim.federation", "hetsim.sim.requests", "hetsim.learn.ops",
    ),
    "hetsim.spec": ("hetsim.core", "hetsim.sim", "hetsim.federation"),
    "hetsim.spec.world": (
        "hetsim.core", "hetsim.spec", "hetsim.sim", "hetsim.federation", "hetsim.learn",
    ),
    "hetsim.report": ("hetsim.core",),
    "hetsim.study": (
        "hetsim.core", "hetsim.sim", "hetsim.spec", "hetsim.federation", "hetsim.report",
    ),
}  # fmt: skip
"""What each room may import beside itself."""

LIVES_IN = {
    "torch": ("hetsim.learn", "hetsim.testing"),
    "simpy": ("hetsim.sim",),
    "pydantic": ("hetsim.spec",),
    "pint": ("hetsim.spec",),
    "typer": ("hetsim.cli",),
}
MAY_PRINT = ("hetsim.cli", "hetsim.report")
NO_CLOCK = ("hetsim.core", "hetsim.sim", "hetsim.federation", "hetsim.methods")
CLOCKS = {f"time.{clock}{unit}" for clock in ("time", "perf_counter") for unit in ("", "_ns")}
SEEDS = {"torch.manual_seed", "torch.random.manual_seed", "torch.seed", "torch.cuda.manual_seed",
         "torch.cuda.manual_seed_all", "torch.set_rng_state"}  # fmt: skip
GENERATORS = {"Generator", "PCG64", "SeedSequence", "BitGenerator"}
REPEATS_OTHERS = "hetsim.study.bofl_tasks"
"""Draws again what a published program drew, with Python's generator and that program's seeds."""
UNPICKLERS = {"pickle.load", "pickle.loads", "pickle.Unpickler"}
AMONG_OURSELVES = "hetsim.learn.executors._shared"
"""What processes of one run say to each other, in files without a name."""


def inside(name: str, *rooms: str) -> bool:
    """Whether a dotted name is one of the rooms or stands in one."""
    return any(name == room or name.startswith(room + ".") for room in rooms)


def room_of(module: str) -> str:
    """The innermost room that a module stands in."""
    rooms = [room for room in ROOMS if inside(module, room)]
    return max(rooms, key=len)


class Import(NamedTuple):
    """`name` is imported at `line`; from then on `local` stands for `bound`."""

    line: int
    name: str
    local: str = ""
    bound: str = ""


def imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[Import]:
    """Everything a module imports, relative names resolved."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    bound = alias.name if alias.asname else top
                    yield Import(node.lineno, alias.name, alias.asname or top, bound)
            case ast.ImportFrom():
                base = node.module or ""
                if node.level:
                    parts = module.split(".")
                    up = parts[: len(parts) - node.level + is_package]
                    base = ".".join([*up, base] if base else up)
                for alias in node.names:
                    name = f"{base}.{alias.name}"
                    yield Import(node.lineno, name, alias.asname or alias.name, name)
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(node.lineno, name)
            case _:
                pass


def dotted(node: ast.expr, known: dict[str, str]) -> str:
    """The full name of `a.b.c`, as far as the module's imports tell it."""
    match node:
        case ast.Name(id=name):
            return known.get(name, name)
        case ast.Attribute(value=value, attr=attr):
            head = dotted(value, known)
            return f"{head}.{attr}" if head else ""
        case _:
            return ""


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """Everything in a module that breaks a rule of the house, as `line: what`."""
    tree = ast.parse(source)
    found = list(imports(tree, module, is_package))
    known = {each.local: each.bound for each in found if each.local}
    wrong = [(each.line, bad_import(each.name, module)) for each in found]
    forked = {id(node) for node in behind_fork(tree, known)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node, known)
            if not (name in SEEDS and id(node) in forked):
                wrong.append((node.lineno, bad_name(name, module)))
        elif isinstance(node, ast.Call):
            wrong.append((node.lineno, bad_call(node, dotted(node.func, known))))
    return [f"{line}: {what}" for line, what in sorted(wrong) if what]


def behind_fork(tree: ast.Module, known: dict[str, str]) -> Iterator[ast.AST]:
    """Everything under `with torch.random.fork_rng(...)`, where the generator is a private copy."""
    for block in ast.walk(tree):
        if isinstance(block, ast.With) and any(
            isinstance(item.context_expr, ast.Call)
            and dotted(item.context_expr.func, known) == "torch.random.fork_rng"
            for item in block.items
        ):
            for statement in block.body:
                yield from ast.walk(statement)


def bad_import(name: str, module: str) -> str:
    """What is wrong with importing `name` in `module`, or nothing."""
    room = room_of(module)
    top = name.split(".")[0]
    if top == "hetsim":
        home = "hetsim.spec" if room == "hetsim.spec.world" else room
        if name == "hetsim.__version__" or inside(name, home, *ROOMS[room]):
            return ""
        return f"{room} must not import {name}"
    if top in LIVES_IN and not inside(module, *LIVES_IN[top]):
        return f"{top} belongs to {LIVES_IN[top][0]}"
    if room == "hetsim.core" and top != "numpy" and top not in sys.stdlib_module_names:
        return f"hetsim.core is standard library and NumPy, not {top}"
    if top in ("time", "datetime") and inside(module, *NO_CLOCK):
        return f"{room} knows simulated time only, not {top}"
    if top == "random" and (module, name) != (REPEATS_OTHERS, "random.Random"):
        return "draw from hetsim.core.rng, not from random"
    if name in CLOCKS | UNPICKLERS:
        return f"{name} is banned"
    return ""


def bad_name(name: str, module: str) -> str:
    """What is wrong with using the object called `name`, or nothing."""
    if name in CLOCKS:
        return f"{name} reads the host's clock"
    if name in UNPICKLERS and module != AMONG_OURSELVES:
        return f"{name} runs what a file says"
    if name in SEEDS:
        return f"{name} seeds a global generator"
    if name == "print" and not inside(module, *MAY_PRINT):
        return "only the command line and reports print; log, or write a span"
    head, _, function = name.rpartition(".")
    if head == "numpy.random" and function not in GENERATORS:
        return f"{name} draws from no named stream"
    return ""


def bad_call(call: ast.Call, name: str) -> str:
    """What is wrong with a call, or nothing; rules that need the arguments."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    match name, keywords:
        case "torch.load", {"weights_only": ast.Constant(value=True)}:
            return ""
        case "torch.load", _:
            return "torch.load without weights_only=True runs what a file says"
        case "numpy.load", {"allow_pickle": ast.Constant(value=True)}:
            return "numpy.load with allow_pickle=True runs what a file says"
        case _:
            return ""


def module_name(path: Path) -> str:
    """`hetsim/core/ref.py` is `hetsim.core.ref`; `hetsim/core/__init__.py` is `hetsim.core`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_package_is_there() -> None:
    assert {"hetsim", "hetsim.core.ref"} <= {module_name(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_keeps_the_walls(path: Path) -> None:
    wrong = violations(path.read_text(), module_name(path), path.name == "__init__.py")
    assert not wrong, "\n".join(f"{path.relative_to(PACKAGE.parent)}:{what}" for what in wrong)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_stands_in_a_room(path: Path) -> None:
    parts = module_name(path).split(".")
    assert ".".join(parts[:2]) in ROOMS, "a new room needs a line in ROOMS"


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("hetsim.core.x", "import hetsim.sim.kernel", "must not import hetsim.sim.kernel"),
        ("hetsim.core.x", "import scipy", "standard library and NumPy"),
        ("hetsim.core.x", "import time", "simulated time only"),
        ("hetsim.sim.x", "from hetsim.learn import ops", "must not import hetsim.learn.ops"),
        ("hetsim.sim.x", "def f():\n    from hetsim.learn import ops", "2: hetsim.sim must not"),
        ("hetsim.sim.x", "from ..learn.lab import Lab", "must not import hetsim.learn.lab.Lab"),
        ("hetsim.sim.network.x", "from ... import learn", "must not import hetsim.learn"),
        ("hetsim.sim.x", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
         "3: torch belongs to hetsim.learn"),
        ("hetsim.sim.x", "from importlib import import_module\nimport_module('torch.nn')",
         "torch belongs to"),
        ("hetsim.sim.x", "import importlib\nimportlib.import_module('hetsim.learn.ops')",
         "must not import hetsim.learn.ops"),
        ("hetsim.sim.x", "from hetsim import ops", "must not import hetsim.ops"),
        ("hetsim.learn.x", "import simpy.events", "simpy belongs to hetsim.sim"),
        ("hetsim.learn.x", "from hetsim.sim.requests import Compute", "must not import hetsim.sim"),
        ("hetsim.learn.x", "import random", "draw from hetsim.core.rng"),
        ("hetsim.federation.x", "from hetsim.spec import schema", "must not import hetsim.spec"),
        ("hetsim.federation.x", "import pydantic", "pydantic belongs to hetsim.spec"),
        ("hetsim.federation.x", "from datetime import datetime", "simulated time only"),
        ("hetsim.methods.x", "from hetsim.sim import kernel", "must not import hetsim.sim.kernel"),
        ("hetsim.methods.x", "from hetsim.sim.requests_x import f", "must not import"),
        ("hetsim.methods.x", "import hetsim.learn.lab", "must not import hetsim.learn.lab"),
        ("hetsim.spec.schema", "import hetsim.learn.lab", "must not import hetsim.learn.lab"),
        ("hetsim.report.x", "from hetsim.sim.device import Profile", "must not import hetsim.sim"),
        ("hetsim.study.x", "import hetsim.learn.lab", "must not import hetsim.learn.lab"),
        ("hetsim.study.x", "import time\ntime.time()", "2: time.time reads the host's clock"),
        ("hetsim.study.x", "import time as t\nt.perf_counter_ns()", "reads the host's clock"),
        ("hetsim.study.x", "from time import perf_counter as now", "perf_counter is banned"),
        ("hetsim.cli", "import hetsim.sim.kernel", "must not import hetsim.sim.kernel"),
        ("hetsim.screen", "import hetsim.sim.kernel", "must not import hetsim.sim"),
        ("hetsim.sim.x", "print('hello')", "only the command line and reports print"),
        ("hetsim.learn.x", "import numpy as np\nnp.random.seed(0)", "numpy.random.seed draws"),
        ("hetsim.learn.x", "from numpy.random import default_rng\ndefault_rng(0)", "named stream"),
        ("hetsim.learn.x", "import torch\ntorch.manual_seed(0)", "seeds a global generator"),
        ("hetsim.learn.x", "import torch\nwith torch.no_grad():\n    torch.manual_seed(0)",
         "3: torch.manual_seed seeds"),
        ("hetsim.learn.x",
         "import torch\nwith torch.random.fork_rng():\n    torch.manual_seed(0)\ntorch.seed()",
         "4: torch.seed seeds"),
        ("hetsim.learn.x", "import torch\ntorch.load('x')", "without weights_only=True"),
        ("hetsim.learn.x", "import torch\ntorch.load('x', weights_only=0)", "weights_only=True"),
        ("hetsim.learn.x", "import numpy as np\nnp.load('x', allow_pickle=True)", "allow_pickle"),
        ("hetsim.learn.x", "import pickle\npickle.load(open('x', 'rb'))", "runs what a file says"),
    ],
)  # fmt: skip
def test_the_checker_sees_broken_walls(module: str, source: str, complaint: str) -> None:
    assert any(complaint in what for what in violations(source, module))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hetsim.core.x", "import numpy as np\nimport json\nfrom hetsim.core.cost import Cost"),
        ("hetsim.core.rng", "import numpy as np\nnp.random.Generator(np.random.PCG64(1))"),
        ("hetsim.sim.kernel", "import simpy\nfrom hetsim.core.errors import Dropped"),
        ("hetsim.sim.kernel", "from .requests import Compute\nfrom . import sharing"),
        (
            "hetsim.methods.x",
            "from hetsim.sim.requests import Observe\nfrom hetsim.learn import ops",
        ),
        (
            "hetsim.methods.x",
            "from hetsim.sim import requests\nfrom hetsim.methods.fedavg import A",
        ),
        ("hetsim.learn.lab", "import torch\ntorch.load('x', weights_only=True)"),
        ("hetsim.learn.lab", "import torch\ntorch.Generator().manual_seed(1)"),
        (
            "hetsim.learn.lab",
            "import torch\nwith torch.random.fork_rng(devices=[]):\n    torch.manual_seed(0)",
        ),
        ("hetsim.spec.world", "from hetsim.learn.lab import Lab\nfrom hetsim.spec import schema"),
        ("hetsim.study.x", "import time\nfrom hetsim import __version__\ntime.monotonic()"),
        ("hetsim.report.x", "print('table')"),
        ("hetsim.cli", "import typer\nprint('done')"),
    ],
)
def test_the_checker_lets_good_modules_pass(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_relative_imports_of_a_package_start_at_itself() -> None:
    assert violations("from .. import learn", "hetsim.sim", is_package=True)
    assert not violations("from . import device", "hetsim.sim", is_package=True)


@pytest.mark.parametrize("module", ["hetsim", "hetsim.cli"])
def test_heavy_libraries_wait_until_they_are_needed(module: str) -> None:
    heavy = ("torch", "simpy", "pyarrow", "plotly", "matplotlib", "scipy", "sklearn")
    look = f"import sys, {module}; print(*sorted(set(sys.modules) & set({heavy})))"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
