"""What a person waits for: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "simpy", "networkx", "pydantic", "pint", "plotly", "matplotlib", "pyarrow",
         "scipy", "sklearn", "numpy")  # fmt: skip


def _imported_by(arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from hetsim.cli import app\n"
        f"try:\n    app({arguments})\nexcept SystemExit:\n    pass\n"
        "print(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    assert _imported_by("['--help']").isdisjoint(HEAVY)


def test_help_of_a_verb_imports_nothing_heavy() -> None:
    ours = set(HEAVY) - {"pydantic"}  # which Typer asks for by itself to show a verb's options
    assert _imported_by("['run', '--help']").isdisjoint(ours)


def test_a_run_without_files_draws_nothing() -> None:
    code = (
        "import sys\n"
        "from hetsim.spec.world import resolve\n"
        "from hetsim.spec.schema import load_topology\n"
        "from hetsim.learn.lab import CostOnlyLab\n"
        "resolve(load_topology('iot_mix')).world(CostOnlyLab())\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    late = {"plotly", "matplotlib", "pyarrow", "sklearn", "pandas"}
    assert late.isdisjoint(done.stdout.split())
