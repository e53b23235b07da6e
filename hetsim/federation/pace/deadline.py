"""A deadline for every round, and what a client that would miss it may do about it.

With `late: steps` a client stops training in good time: it keeps `reserve` times what its last
upload took (at first, what receiving the model took) for the next one, but no more than half of the
time that is left without what the method has it compute after training, and delivers the training
of as many steps as were done by then, or of one.
Variable local work is that of Li et al., "Federated Optimization in Heterogeneous Networks", MLSys
2020. With `late: layers` the update is sent from the output layer back to the input, and the layers
that have arrived at the deadline count; how much a client keeps free, and the order of the layers,
are hetsim's own choice (assumed). With `late: drop` what is not there at the deadline is lost.
Partial work is sent over the links that whole updates need too: where the deadline leaves little
more than the time of the uploads, fewer of them may get through than with `late: drop`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Seconds
from hetsim.federation.client import Late
from hetsim.federation.pace.sync import check, rounds
from hetsim.federation.rounds import Rounds
from hetsim.federation.run import Demand, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Rounds of a fixed length at most, with partial work.

    Attributes:
        deadline: seconds that a cohort has.
        late: what a client does that would be late: drop (nothing), steps (train fewer), layers
            (send what gets through).
        reserve: how many times what its last upload took a client keeps free for the next one.
    """

    deadline: Seconds = 60.0
    late: Late = "steps"
    reserve: float = 1.2

    def __post_init__(self) -> None:
        check(self.deadline, 1.0, "")
        if self.reserve < 0.0:
            raise SpecError(f"reserve is {self.reserve:g}", remedy="Give 0 or more, such as 1.2.")

    @property
    def demands(self) -> frozenset[Demand]:
        """To take partial work."""
        return frozenset() if self.late == "drop" else frozenset({self.late})

    def updates(self, cohort: int, able: int) -> tuple[int, int]:
        """Of a step: all who are asked count."""
        return min(cohort, able), min(cohort, able)

    def begin(self, run: Run) -> Rounds:
        """Rounds that end at the deadline."""
        return rounds(run, deadline=self.deadline, late=self.late, reserve=self.reserve)
