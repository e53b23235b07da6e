"""What a bandwidth trace promises."""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

import pytest

from hetsim.core.quantities import Rate, Seconds
from hetsim.core.registry import BANDWIDTHS, Registry
from hetsim.core.rng import rng
from hetsim.sim.bandwidth.base import Points, Signal, Trace
from hetsim.testing.suite import PluginSuite

_STEPS = 200


class BandwidthSuite(PluginSuite):
    """A signal goes forward, is the same whenever it is asked, and depends on its name alone.

    Attributes:
        points: content of the file it plays.
    """

    registry: ClassVar[Registry] = BANDWIDTHS
    points: ClassVar[Points] = Points(times=(0.0, 1.0, 2.5), rates=(1e6, 0.0, 3e6))

    def _signal(self, made: Trace, name: str = "a") -> Signal:
        points = self.points if made.file else None
        return made.signal(points, rng(0, "sim/bandwidth", name))

    def test_rates_are_none_below_zero_and_changes_lie_ahead(self, made: Trace) -> None:
        for now, rate, until in self._followed(self._signal(made)):
            assert rate >= 0.0
            assert isfinite(rate)
            assert until > now

    def test_its_answer_does_not_depend_on_when_it_was_asked(self, made: Trace) -> None:
        steps = self._followed(self._signal(made))
        seldom = self._signal(made)
        for now, rate, _ in steps[::7]:
            assert seldom.at(now)[0] == rate

    def test_the_same_name_gives_the_same_signal(self, made: Trace) -> None:
        assert self._followed(self._signal(made)) == self._followed(self._signal(made))

    def test_a_replay_needs_its_file(self, made: Trace) -> None:
        if not made.file:
            pytest.skip("this trace plays no file")
        with pytest.raises(ValueError, match="file"):
            made.signal(None, rng(0, "sim/bandwidth", "a"))

    def _followed(self, signal: Signal) -> list[tuple[Seconds, Rate, Seconds]]:
        """(instant, rate, instant of the next change), step by step."""
        now, steps = 0.0, []
        while isfinite(now) and len(steps) < _STEPS:
            rate, until = signal.at(now)
            steps.append((now, rate, until))
            now = until
        return steps
