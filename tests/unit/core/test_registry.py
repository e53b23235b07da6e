"""Plug-ins are found by file name, imported when asked for, and missed with a hint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from hetsim.core import registry
from hetsim.core.errors import HetsimError, UnknownName
from hetsim.core.registry import Registry

MODULES = {
    "__init__.py": "",
    "base.py": "class Base: ...",
    "_private.py": "class Private: ...",
    "fed_stitch.py": "from hetplug_other import FED_STITCH\nfed_stitch = 3\nclass FedStitch: ...",
    "pool.py": "from multiprocessing.pool import Pool\ndef pool(): return 'ours'",
    "plain.py": "_plain = print\ndef plain(options=()): return options",
    "hidden.py": "def _hidden(): ...",
    "broken.py": "raise RuntimeError('imported')",
}


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry over a package of its own, whose modules nobody has imported."""
    package = tmp_path / "hetplug"
    package.mkdir()
    for name, source in MODULES.items():
        (package / name).write_text(source)
    (tmp_path / "hetplug_other.py").write_text("class FED_STITCH: ...")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("method", "hetplug", "hetplug.methods")
    for name in [name for name in sys.modules if name.startswith("hetplug")]:
        del sys.modules[name]


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entry points of third parties, one with a name that is taken."""
    points = EntryPoints(
        [
            EntryPoint("theirs", "collections:OrderedDict", "hetplug.methods"),
            EntryPoint("plain", "collections:OrderedDict", "hetplug.methods"),
            EntryPoint("absent", "hetplug_absent:Absent", "hetplug.methods"),
            EntryPoint("elsewhere", "collections:OrderedDict", "hetplug.models"),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))


def test_names_are_file_names_and_import_nothing(plugins: Registry) -> None:
    assert plugins.names() == ["broken", "fed_stitch", "hidden", "plain", "pool"]
    assert "hetplug.fed_stitch" not in sys.modules


def test_a_class_is_found_by_its_camel_case_name(plugins: Registry) -> None:
    found = plugins.load("fed_stitch")
    assert (found.__module__, found.__name__) == ("hetplug.fed_stitch", "FedStitch")


def test_only_what_the_module_defines_counts(plugins: Registry) -> None:
    assert plugins.load("pool")() == "ours"


def test_a_factory_function_is_a_plug_in_too(plugins: Registry) -> None:
    assert plugins.load("plain")(options=(1,)) == (1,)


def test_a_module_without_its_plug_in_is_an_error(plugins: Registry) -> None:
    with pytest.raises(HetsimError, match=r"hetplug\.hidden defines nothing called like 'hidden'"):
        plugins.load("hidden")


def test_an_error_in_a_plug_in_is_not_swallowed(plugins: Registry) -> None:
    with pytest.raises(RuntimeError, match="imported"):
        plugins.load("broken")


@pytest.mark.parametrize("name", ["base", "_private", "__init__", "", "os.path"])
def test_what_is_no_plug_in_is_unknown(plugins: Registry, name: str) -> None:
    with pytest.raises(UnknownName):
        plugins.load(name)


def test_an_unknown_name_says_where_and_what_was_meant(plugins: Registry) -> None:
    with pytest.raises(UnknownName) as caught:
        plugins.load("fed_stich", where="iot_mix.yaml:31", key="method.name")
    assert str(caught.value) == (
        'iot_mix.yaml:31: method.name: no method "fed_stich". Did you mean "fed_stitch"?\n'
        "    Known: broken, fed_stitch, hidden, plain, pool."
    )


@pytest.mark.usefixtures("foreign")
def test_third_parties_add_plug_ins_by_entry_point(plugins: Registry) -> None:
    assert plugins.names() == [
        "absent", "broken", "fed_stitch", "hidden", "plain", "pool", "theirs",
    ]  # fmt: skip
    assert plugins.load("theirs").__name__ == "OrderedDict"


@pytest.mark.usefixtures("foreign")
def test_our_own_names_win(plugins: Registry) -> None:
    assert plugins.load("plain").__module__ == "hetplug.plain"


@pytest.mark.usefixtures("foreign")
def test_a_third_party_that_is_gone_is_an_import_error(plugins: Registry) -> None:
    with pytest.raises(ModuleNotFoundError, match="hetplug_absent"):
        plugins.load("absent")


KINDS = [each for each in vars(registry).values() if isinstance(each, Registry)]


def test_registries_do_not_share_words_or_groups() -> None:
    assert len({each.kind for each in KINDS}) == len(KINDS) > 5
    assert len({each.group for each in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.group)
def test_every_file_of_a_room_holds_its_plug_in(kind: Registry) -> None:
    for name in kind.names():
        assert callable(kind.load(name)), f"{kind.package}.{name}"
