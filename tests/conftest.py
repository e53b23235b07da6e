"""What every test can count on: no network, repeatable examples, the shared data if present."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

REPO = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")
for library in ("OPENBLAS", "MKL", "OMP"):  # one test a core: more threads only wait for each other
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure() -> None:
    """Ctrl-C means what it means at a terminal: a shell's background jobs, and all they start,
    ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite tests/golden; review the diff as code"
    )
    parser.addoption(
        "--histories", type=int, default=300, help="random histories to integrate independently"
    )
    parser.addoption("--kills", type=int, default=2, help="runs to kill and resume")
    parser.addoption(
        "--product", action="store_true", help="train every method x pace x selection, not a cover"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of measured data, oracles and data sets: `$HETSIM_SHARED` or `../shared`."""
    folder = Path(os.environ.get("HETSIM_SHARED", REPO.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is no folder (set HETSIM_SHARED)")
    return folder


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether stored answers are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """How many runs are to be killed and resumed."""
    count: Any = request.config.getoption("--kills")
    return count


@pytest.fixture(scope="session", autouse=True)
def _offline() -> Iterator[None]:
    """A test that reaches for the network fails at once, on every machine."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        remote = self.family in (socket.AF_INET, socket.AF_INET6)
        if remote and isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise RuntimeError(f"tests must not use the network, but this one asked for {address}")
        connect(self, address)  # pyright: ignore

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        yield
