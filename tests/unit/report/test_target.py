"""Verdicts of all pages are said in the same words."""

from __future__ import annotations

import pytest

from hetsim.report.published import (
    _bofl_targets,
    _ecofed_targets,
    _fedstitch_targets,
    _pacing_targets,
)
from hetsim.report.published._target import Target, tally


@pytest.mark.parametrize(
    "page", [_bofl_targets, _ecofed_targets, _fedstitch_targets, _pacing_targets]
)
def test_every_page_has_the_same_verdicts(page: object) -> None:
    assert issubclass(vars(page)["Target"], Target)


def test_a_verdict_is_said_in_words() -> None:
    words = {
        verdict: Target(what="", wanted="", found="1", verdict=verdict).word
        for verdict in (True, False, None)
    }
    assert words == {True: "met", False: "**not met**", None: "–"}
    assert Target(what="", wanted="").word == "not run"


def test_a_tally_names_what_is_missed() -> None:
    found = [
        Target(what=what, wanted="", verdict=verdict)
        for what, verdict in (("a", True), ("b", False), ("c", None), ("d", False))
    ]
    assert tally(found) == "1 met, 2 not met, 1 not run. Not met: b; d."
    assert tally(found[:1], "absent") == "1 met, 0 not met, 0 absent."
