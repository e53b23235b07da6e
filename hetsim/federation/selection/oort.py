"""Oort: those who have most to teach and are fast enough, and some who are new.

In round R (from 1), to ask K clients, U(i) = samples x loss is the statistical utility of client i
whose loss is known, clipped at a quantile; L(i) is the round whose model i reported on last, t(i)
how long it took, T the preferred duration. Its utility is

    (U(i) + sqrt(0.1 log R / L(i))) x (T / t(i))^alpha,         the last factor only if t(i) > T

Whoever has at least c times the (1 - epsilon) K-th highest utility is admitted, and (1 - epsilon) K
of the admitted are drawn in proportion to it. The other epsilon K are drawn from those who were
never asked; epsilon starts at 0.9 and shrinks by 2 % a round, to 0.2. A pacer allows longer rounds
when learning slows down: whenever W more rounds are over, T grows if the utility achieved in the
last W rounds, the sum of U over those who reported in them, is less than in the W before.

Source: Lai, Zhu, Madhyastha, Chowdhury, "Oort: Efficient Federated Learning via Guided Participant
Selection", OSDI 2021, algorithm 1, with its settings.

Departures: U is samples x mean loss, where the paper takes samples x root mean square of the
samples' losses, which a client does not report here; both are the same if all its samples have one
loss.

U is scaled to 0 .. 1 between the least and the clipped highest, so that the bonus of those not
heard for long has weight; algorithm 1 leaves the scale open, the authors' code does about this.

T is a quantile of the durations seen and grows by `delta` of it, as in the authors' FedScale, and
not a number of seconds, for which there is no default that suits all fleets.

One that was asked and has never delivered is of the least utility (assumed). A loss is taken for a
by-product of the training (assumed): its bytes are paid for, no forward pass. It is that of the
model from which the client started, on its whole shard.

The unknown are drawn uniformly: the paper prefers fast ones, but this server does not know who is
fast before it has asked. The fraction of a client in epsilon K is asked by chance, so that a pace
that asks one at a time explores too (assumed).

Those who took part `most` times are barred only while enough others are there (assumed).
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.federation.roster import Candidate
from hetsim.federation.selection._guided import Guided


@dataclass(frozen=True, slots=True, kw_only=True)
class Oort(Guided):
    """Statistical times system utility, nothing else."""

    def reward(self, candidate: Candidate, utility: float) -> float:
        """The utility."""
        del candidate
        return utility
