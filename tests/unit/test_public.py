"""`import hetsim as hs`: every public name is there, typed and lazy."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import hetsim as hs


def declared() -> dict[str, str]:
    """The names that type checkers see, from the `TYPE_CHECKING` block."""
    tree = ast.parse(Path(str(hs.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    found: dict[str, str] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def test_what_is_typed_is_what_is_public() -> None:
    assert sorted([*declared(), "__version__"]) == sorted(hs.__all__)


@pytest.mark.parametrize(("name", "home"), declared().items(), ids=lambda item: item)
def test_a_public_name_is_the_object_at_its_home(name: str, home: str) -> None:
    module, _, attribute = home.rpartition(".")
    value = getattr(hs, name)
    assert getattr(sys.modules[module], attribute) is value
    assert name in dir(hs)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = hs.nonsense
