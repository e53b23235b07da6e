"""EAFL: Oort that spares the batteries.

What counts in the place of Oort's utility is

    f utility(i) + (1 - f) power(i),        power(i) = charge(i) - used(i)

utility(i) is Oort's, charge(i) the level of the battery as client i reports it, and used(i) the
share of it that its last participation took. Source: Arouj, Abdelmoniem, "Towards Energy-Aware
Federated Learning on Battery-Powered Clients", FedEdge at ACM MobiCom 2022; f = 0.25 is theirs.

Departures: those of `oort`, whose scale of 0 .. 1 makes utility and power comparable; a client on
mains has the power of a full battery that loses nothing, and no client's power is below 0 (both
assumed). The share used is measured, not predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Fraction
from hetsim.federation.roster import Candidate
from hetsim.federation.selection._guided import Guided


@dataclass(frozen=True, slots=True, kw_only=True)
class EAFL(Guided):
    """Oort's utility and the charge that is left.

    Attributes:
        f: weight of the utility; the charge has the rest.
    """

    f: Fraction = 0.25

    def reward(self, candidate: Candidate, utility: float) -> float:
        """A mean of utility and power."""
        return self.f * utility + (1.0 - self.f) * power(candidate)


def power(candidate: Candidate) -> Fraction:
    """Charge that it would have left after taking part again; full on mains."""
    charge = candidate.charge
    return 1.0 if charge is None else max(charge - (candidate.spent or 0.0), 0.0)
