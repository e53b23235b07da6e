"""What a device profile promises."""

from __future__ import annotations

from math import isfinite

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.device import Profile
from hetsim.spec.profile import ProfileSheet, find_profile, load_profile_with_sources
from hetsim.testing.suite import Suite
from hetsim.testing.world import check_books, play, tiny

_WORK = Cost(flops=1e9, traffic=1e8, steps=10.0, samples=100.0, operators=500.0)


class DeviceSuite(Suite):
    """A profile backs every number, and makes a device that works and pays for it.

    `plugin` is the name or the path of the file.
    """

    @pytest.fixture
    def loaded(self, name: str) -> tuple[Profile, ProfileSheet]:
        """The profile and where its numbers come from."""
        return load_profile_with_sources(find_profile(name, None))

    def test_every_number_says_where_it_comes_from(
        self, loaded: tuple[Profile, ProfileSheet]
    ) -> None:
        _, sheet = loaded
        assert sheet.rows
        for row in sheet.rows:
            assert row.text.strip(), row.key
        assert sheet.title.strip()
        assert sheet.leaves_out.strip()

    def test_work_takes_time_and_joules_at_every_clock(
        self, loaded: tuple[Profile, ProfileSheet]
    ) -> None:
        profile, _ = loaded
        highest = profile.highest
        best = profile.effort(_WORK, highest).duration
        for index, domain in enumerate(profile.domains):
            for point in range(len(domain.points)):
                points = [*highest[:index], point, *highest[index + 1 :]]
                work = profile.effort(_WORK, points)
                assert isfinite(work.duration)
                assert work.duration >= best * (1 - 1e-9) > 0.0, "a lower clock is never faster"
                assert sum(work.joules) > 0.0
                assert all(0.0 <= busy <= work.duration * (1 + 1e-9) for busy in work.busy)

    def test_carries_a_run_or_says_why_not(self, name: str) -> None:
        scenario = tiny(f"fleet[0].profile={name}", "cost_only=true", "selection.cohort=4")
        played = play(scenario)
        check_books(played.trace, scenario)
        for row in played.trace.devices[:2]:
            assert row["energy_j"] > 0.0
            assert row["rounds_done"] == 2 or "memory" in row["excluded"]
