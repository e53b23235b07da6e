"""Speed factors, heat fits and forecasts of two boards, from made-up and from real logs."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec.profile import find_profile, load_profile
from hetsim.study.pi_heat import fit_warmth
from hetsim.study.pi_log import Round, read_job
from hetsim.study.validate_pi import validate_pi

HEADER = "round,phase,client_id,train_time,eval_time,samples,pi_temp,pi_throttled"
LOG = f"""{HEADER}
1,train,pi127,40.0,,4000,temp=75.4'C,throttled=0x0
1,train,pi99,50.0,,5000,temp=44.3'C,throttled=0x0
1,train,pc,5.0,,5000,,
1,eval,server,,2.5,,,
2,train,pi127,44.0,,4000,temp=80.1'C,throttled=0x80008
2,train,pi99,51.0,,5000,temp=45.0'C,throttled=0x80000
"""


def test_a_log_is_read(tmp_path: Path) -> None:
    file = tmp_path / "job.csv"
    file.write_text(LOG)
    boards = read_job(file)
    assert boards["pi127"] == [
        Round(seconds=40.0, wait=12.5, samples=4000, temperature=75.4, throttled=False),
        Round(seconds=44.0, wait=7.0, samples=4000, temperature=80.1, throttled=True),
    ]
    assert boards["pi99"][1].throttled is False, "it was held back earlier, and is no more"
    assert set(boards) == {"pi127", "pi99"}


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_job(tmp_path / "nowhere.csv")
    file = tmp_path / "job.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(SpecError, match="is no log of federated rounds"):
        read_job(file)
    file.write_text(LOG.replace("40.0", "long"))
    with pytest.raises(SpecError, match="is no log of federated rounds"):
        read_job(file)


def test_a_heat_fit_finds_the_body_that_made_the_log() -> None:
    profile = load_profile(find_profile("raspberry_pi_4b", None))
    busy = profile.idle + sum(domain.points[-1].power for domain in profile.domains)
    resistance, capacity, temperature = 8.0, 30.0, 40.0
    rounds: list[Round] = []
    for number in range(8):
        seconds, wait = 20.0 + number, 15.0
        for watts, time in ((busy, seconds), (profile.idle, wait)):
            steady = 25.0 + resistance * watts
            temperature = steady + (temperature - steady) * exp(-time / (resistance * capacity))
            if watts == busy:
                rounds.append(
                    Round(seconds=seconds, wait=wait, samples=1, temperature=temperature,
                          throttled=False)
                )  # fmt: skip
    fit = fit_warmth(profile, "board", "job", rounds)
    assert fit.resistance == pytest.approx(resistance, rel=1e-4)
    assert fit.capacity == pytest.approx(capacity, rel=1e-3)
    assert fit.start == pytest.approx(40.0, abs=0.01)
    assert fit.error < 1e-4
    off = fit_warmth(profile, "b", "j", [replace(r, temperature=r.temperature + (-1.0) ** i)
                                         for i, r in enumerate(rounds)])  # fmt: skip
    assert 0.5 < off.error < 1.5


def test_two_boards(shared: Path) -> None:
    found = validate_pi(shared / "measured" / "traces" / "pi_fl")
    for speed in found.speeds:
        assert speed.factor < 1.0, "in the short jobs the hot board is the faster one"
        assert abs(speed.median_error) <= 0.15
    assert 7.0 < found.warmth.resistance < 16.0, "a bare board: about 10.5 K/W"
    assert found.warmth.error < 0.6, "the log has half degrees"
    for path in found.trajectories:
        assert path.temperature_error < 3.0
        assert all(each.simulated_lost >= -1e-9 for each in path.rounds)
        assert path.lost[0] > 0.05, "logged"
        assert path.lost[1] > 0.05, "simulated"
    assert [len(path.rounds) for path in found.trajectories] == [20, 3]
    for forecast in found.forecasts:
        assert forecast.low < forecast.cooled < forecast.high, "no sign is claimed"
        assert forecast.low < forecast.middle < forecast.high
    assert len(found.forecasts) == 3
    titles = [table.title for table in found.sheet().tables]
    assert len(titles) == 4
