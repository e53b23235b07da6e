"""Split training told in bytes, seconds and joules: nothing is learned in these runs.

Methods have the settings of the EcoFed paper's code (Wu et al., "EcoFed: Efficient Communication
for DNN Partitioning-based Federated Learning", IEEE TPDS 35(3), 2024, arXiv 2304.05495;
github.com/blessonvar/EcoFed): one epoch of batches of 10, a cut after two blocks, every second
round a replay. Samples are made up, 500 a client and in the shape of CIFAR's, 3 x 32 x 32: no byte
and no second depends on what is in them.

What a client-round takes is told by a run of two cycles; a cycle is as many rounds as EcoFed has
from one update to the next. The second one is what every later one is like; what the first has
beside it is what a client gets once, its enrolment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetsim.core.quantities import Bytes, Seconds
from hetsim.core.trace import Trace
from hetsim.spec.load import dump, read
from hetsim.spec.profile import find_profile, load_profile
from hetsim.study.campaign import Question, Variant, campaign

METHODS = ("fedavg", "dpfl", "lgl", "fedgkt", "ecofed")
SAMPLES = 500
PI = "raspberry_pi_4b_edpfl"
LAPTOP = "framework13_amd"
STEADY = "1.35 GMAC/s"
"""A board that computes at one rate whatever it computes, see `steady_board`."""
_TOPOLOGY = "pi_lab"
_SGD = "epochs: 1, batch: 10, lr: 0.01, momentum: 0.9"
_PER_CYCLE = ("flops_per_cycle", "bytes_per_cycle")
_CYCLES = ("cycles_per_operator", "cycles_per_step", "cycles_per_sample")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A method with its settings.

    Attributes:
        method: its name.
        period, bits: of EcoFed.
        overlap: whether computing, sending and the server's work go on at once.
    """

    method: str
    period: int = 2
    bits: int = 8
    overlap: bool = False

    @property
    def cycle(self) -> int:
        """Rounds until all comes again."""
        return self.period if self.method == "ecofed" else 1

    @property
    def written(self) -> str:
        """As in a topology."""
        options = [f"name: {self.method}", _SGD]
        if self.method != "fedavg":
            options.append("cut: 2")
        if self.overlap:
            options.append("overlap: true")
        if self.method == "ecofed":
            options += [f"period: {self.period}", f"bits: {self.bits}"]
        return f"method={{{', '.join(options)}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Equal boards, each on a line of its own without latency, all of which take part.

    Attributes:
        device, server: profiles.
        bandwidth: of a line in either direction, Mbit/s.
        clients: how many.
        model: what is trained.
        classes: of the samples.
    """

    device: str = PI
    server: str = LAPTOP
    bandwidth: float = 50.0
    clients: int = 1
    model: str = "vgg11_fc3"
    classes: int = 10

    @property
    def overrides(self) -> tuple[str, ...]:
        """What makes a topology this one."""
        return (
            f'fleet=[{{profile: "{self.device}", name: board, count: {self.clients}, '
            f'link: {{rate: "{self.bandwidth:.12g} Mbit/s", latency: 0 s}}}}]',
            "network=ethernet",
            f'server="{self.server}"',
            made_up(self.model, self.clients * SAMPLES, self.classes),
            f"selection={{name: random, cohort: {self.clients}}}",
            "pace=sync",
            "cost_only=true",
        )


def made_up(model: str, samples: int, classes: int = 10) -> str:
    """The task of a model on so many samples in the shape of CIFAR's."""
    return (
        f"task={{data: {{name: synthetic, train: {samples}, test: 10, source: 10, "
        f"classes: {classes}, shape: [3, 32, 32]}}, model: {model}, partition: iid}}"
    )


# --- client-rounds --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRound:
    """What a client-round takes, the mean over a cycle.

    Attributes:
        size: bytes both ways.
        seconds: of a round, with the server's averaging.
        enrolment: bytes that a client gets once.
    """

    size: Bytes
    seconds: Seconds
    enrolment: Bytes


def client_rounds(
    what: Sequence[tuple[Place, Way]],
    *,
    work: Path,
    workers: int,
    progress: Callable[[str], None],
) -> list[ClientRound]:
    """What each takes, in their order.

    Args:
        what: where, and how it is trained.
        work: folder of what is played already.
        workers: processes to play in.
        progress: told how many runs are done.
    """
    variants = [_variant(place, way, 2 * way.cycle) for place, way in what]
    found = campaign(variants, rounds_of, work=work, workers=workers, progress=progress)
    return [_client_round(place, way, each) for (place, way), each in zip(what, found, strict=True)]


def _client_round(place: Place, way: Way, rounds: Sequence[tuple[Bytes, Seconds]]) -> ClientRound:
    sizes, seconds = zip(*rounds, strict=True)
    first, second = sum(sizes[: way.cycle]), sum(sizes[way.cycle :])
    return ClientRound(
        size=second / way.cycle / place.clients,
        seconds=sum(seconds[way.cycle :]) / way.cycle,
        enrolment=(first - second) / place.clients,
    )


def rounds_of(trace: Trace) -> list[tuple[Bytes, Seconds]]:
    """Bytes both ways and seconds of each round."""
    return [
        (row["bytes_up"] + row["bytes_down"], row["t1_s"] - row["t0_s"]) for row in trace.rounds
    ]


def play(
    what: Sequence[tuple[Place, Way]],
    question: Question,
    *,
    rounds: int,
    work: Path,
    workers: int,
    progress: Callable[[str], None],
) -> list[Any]:
    """What is asked of runs of so many rounds."""
    variants = [_variant(place, way, rounds) for place, way in what]
    return campaign(variants, question, work=work, workers=workers, progress=progress)


def _variant(place: Place, way: Way, rounds: int) -> Variant:
    return Variant(
        topology=_TOPOLOGY,
        overrides=(*place.overrides, way.written, f"stop={{rounds: {rounds}}}"),
        seed=0,
    )


# --- profiles -------------------------------------------------------------------------------------


def scaled(profile: str, times: float, folder: Path) -> str:
    """A profile that is so many times as fast as another one, at the same power.

    Assumed: arithmetic, memory traffic and launching of operators all speed up alike.

    Returns:
        Its file.
    """
    data = read(find_profile(profile, None, where="server")).data
    why = f"{times:.12g} times the speed of {profile}"
    for domain in data["compute"]["domains"].values():
        for key in domain.keys() & {*_PER_CYCLE}:
            domain[key] = {"value": domain[key]["value"] * times, "assumed": why}
        for key in domain.keys() & {*_CYCLES}:
            domain[key] = {"value": domain[key]["value"] / times, "assumed": why}
    return _written(data, folder / f"{profile}-{times:.12g}.yaml")


def steady_board(folder: Path) -> str:
    """A Raspberry Pi 4 that multiplies and adds 1.35e9 numbers a second, and does nothing else.

    Derived: VGG-11 of 153.3 million multiply-adds took 204.9 s a round of 500 samples on such a
    board (github.com/wonderDiWu/EDPFL_IEEE_Seasonal_School_2026), about 170 s of them beside the
    transfer of the model; 3 x 153.3e6 x 500 / 170 s. That is the same network with smaller linear
    layers, and of all that was logged the nearest to it. Memory traffic, which the profile
    raspberry_pi_4b_edpfl has from three networks, is not counted apart.

    Returns:
        Its file.
    """
    data = read(find_profile(PI, None, where="fleet")).data
    why = (
        "VGG-11 of 153.3 million multiply-adds on such a board: 3 x 153.3e6 x 500 / 170 s "
        "(github:wonderDiWu/EDPFL_IEEE_Seasonal_School_2026), two flop each, at 1.8 GHz"
    )
    processor = data["compute"]["domains"]["cpu"]
    for key in {*_PER_CYCLE, *_CYCLES} & processor.keys():
        del processor[key]
    processor["flops_per_cycle"] = {"value": 2 * 1.35e9 / 1.8e9, "derived": why}
    return _written(data, folder / "steady_board.yaml")


def _written(data: dict[str, Any], path: Path) -> str:
    folder = path.parent.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / path.name
    file.write_text(dump(data), encoding="utf-8")
    load_profile(file)
    return str(file)
