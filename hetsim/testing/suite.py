"""What all suites share: which plug-in is tested, and promises of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, ClassVar

import pytest

from hetsim.core.registry import Registry
from hetsim.spec.options import describe, make, resolved


class Suite:
    """Tests of one plug-in; a subclass says which.

    Attributes:
        plugin: its name, as a topology says it. To test several, parametrise `name` instead.
        options: its options, as a topology gives them.
    """

    plugin: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def name(self) -> str:
        """Name of the plug-in under test."""
        assert self.plugin, "say which plug-in this suite is for: plugin = ..."
        return self.plugin


class PluginSuite(Suite):
    """Promises of every plug-in that is a frozen dataclass of options.

    Attributes:
        registry: where it is found.
    """

    registry: ClassVar[Registry]

    @pytest.fixture
    def made(self, name: str) -> Any:
        """The plug-in with its options."""
        return make(self.registry.load(name), self.options)

    def test_is_found_by_name(self, name: str) -> None:
        assert name in self.registry.names()

    def test_module_says_what_it_models(self, name: str) -> None:
        module = inspect.getmodule(self.registry.load(name))
        assert (inspect.getdoc(module) or "").strip()

    def test_describes_every_option(self, name: str) -> None:
        silent = [option.name for option in describe(self.registry.load(name)) if not option.doc]
        assert not silent, f"no text for {silent} under Attributes: in the class's docstring"

    def test_options_survive_being_written_and_read(self, name: str, made: Any) -> None:
        plugin = self.registry.load(name)
        written = resolved(plugin, self.options)
        assert make(plugin, written) == made
        assert resolved(plugin, written) == written

    def test_settings_cannot_change(self, made: Any) -> None:
        assert is_dataclass(made), "a plug-in is a frozen dataclass"
        for field in fields(made):
            with pytest.raises(FrozenInstanceError):
                setattr(made, field.name, getattr(made, field.name))
