"""FedStitch: a network is put together from parts of pre-trained models, and nothing is trained.

Position by position, clients score the candidate blocks on their own data by forward passes, the
server takes a vote, and the winner goes on the network. Clients then send sums of products, from
which the server solves the linear maps that nothing else is needed for: the stitch that leads to
the winner, and a classifier on top, so that every round ends with a whole network. A run ends when
all positions are filled.

Source: Zhan, Wu, Tian, Zhao, Li, "Heterogeneity-Aware Coordination for Federated Learning via
Stitching Pre-trained blocks", IWQoS 2024, arXiv 2409.07202. Reconstructed: the body of the paper
was not available to us. Established are the idea; that clients get a pool of blocks, score all of
it by centred kernel alignment on their data, and send the K best; that the server votes; and its
three parts, an aggregator that weighs clients by reinforcement learning with an epsilon-greedy
policy (`hetsim.methods._ballot`), an optimizer that shrinks the pool by the scores
(`hetsim.methods._pool`), and one on the client that chooses its clocks under a deadline of the
server (a governor, such as `deadline_feedback`). Everything else is hetsim's: what is compared,
formulas and defaults, stitches and classifier, the deadline, messages.

A round is one position, in up to three visits to clients, a cohort each:

    score   down   the pool, unless the client has it; stitches that it lacks; 8 bytes for each
                   block of the network and the position, for each candidate, and for the deadline
            up     12 bytes for each of its K best (id and score), 4 for the CKA of each two
                   candidates if the pool is pruned, and 4 for that of the network so far with
                   labels where peers reward
    sums    down   16 bytes (the winner and the deadline)
            up     X'X, X'Y and two numbers for the stitch, as float64; from the second position on
    head    down   the new stitch and 16 bytes
            up     the same for the classifier

A last visit hands out the classifier. The server sets a deadline for each visit and drops who is
late. It expects of every client that it asks what the visit takes on its profile at its highest
clocks, with all of them on the links at once (`hetsim.federation.foresight`), and gives
`deadline_factor` times as long as the fastest `deadline_share` of them need. A visit to which
nobody delivers in time is repeated, up to `tries` times in a round; then the round closes with the
network as it was, and the next one goes on from there.

The client's memory holds the network so far, one candidate with what comes before it in its own
model, and the activations of `at_once` samples (`hetsim.learn.ops.scores`); the pool is in its
storage. No gradients and no state of an optimizer are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.errors import did_you_mean
from hetsim.core.quantities import Fraction, Seconds
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.pretraining import Pretraining
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.methods._ballot import Weights
from hetsim.methods._pool import Choice, places
from hetsim.methods._sgd import require
from hetsim.methods._stitching import Stitching
from hetsim.methods._zoo import LEAST, Looking, demand, fitting, member


@dataclass(frozen=True, slots=True, kw_only=True)
class FedStitch:
    """Stitching of pre-trained blocks, position by position.

    Attributes:
        zoo: models that blocks are taken from, pre-trained on the source; "plain_cnn@0.5" is one
            half as wide.
        positions: into how many parts each is cut, and of how many a network consists.
        pool: which blocks are candidates: parts of the position's own number (locked), or any
            part between the first and the last of a model (free).
        score: what scores compare: features and labels (label), features and what the block gets
            in its own model (function), or both (mix).
        beta: weight of labels in `mix`.
        probe: samples that a client scores and fits stitches on, drawn once, or all that it has.
        fit: of these, samples that it fits its own stitch to each candidate on.
        batch: samples that are compared together.
        at_once: samples that go forward together. Where memory does not allow as many, half of
            that, and so on down to one; then batches are halved, down to 4.
        best: how many candidates a client proposes.
        weights: of clients in the vote: learned (rl), the same for all, or by samples.
        reward: what a winner is judged by: mean CKA of network and labels over the clients of the
            next position (peer), or on samples that the server has of the source (proxy).
        proxy: how many those are.
        epsilon: chance of random weights at the first position.
        decay: what it is multiplied by from one position to the next.
        eta: by how much of a difference a client's value moves.
        tau: how far values may be apart before the lower one hardly counts.
        prune: whether blocks that have done badly are left out of later positions.
        phi: lowest share that is left out at a time.
        patience: positions at which a block must have been proposed, to stay.
        same: CKA from which two blocks are one.
        stitch: how outputs become inputs: by ridge regression, or channel by channel, with zeros
            for those that are missing (pad).
        penalty: of the ridge regression of stitches; that of the classifier follows from the sums
            by generalised cross-validation.
        deadline: seconds that clients have for a visit; left out, from `deadline_factor`.
        deadline_factor: how many times as long as the server expects `deadline_share` of those
            whom it asks to take at their highest clocks; none for no deadline but the pace's.
        deadline_share: see there.
        resend_pool: whether network and pool are sent anew for each position, instead of once.
        tries: how often a visit is paid in a round if nobody delivers in time.
        winners: blocks to be stitched, as "plain_cnn/2", one a position, whatever clients think;
            nothing is observed then, so that a run may be cost-only.
        scored: with winners, the candidates of each position; left out, the whole pool.
    """

    pretrained: ClassVar[bool] = True
    zoo: tuple[str, ...] = ("resnet8", "plain_cnn", "separable_cnn", "wide_cnn")
    positions: int = 4
    pool: Choice = "locked"
    score: Literal["label", "function", "mix"] = "label"
    beta: Fraction = 0.5
    probe: int = 256
    fit: int = 64
    batch: int = 64
    at_once: int = 8
    best: int = 3
    weights: Weights = "rl"
    reward: Literal["peer", "proxy"] = "peer"
    proxy: int = 64
    epsilon: Fraction = 0.2
    decay: Fraction = 0.9
    eta: Fraction = 0.3
    tau: float = 0.2
    prune: bool = True
    phi: Fraction = 0.3
    patience: int = 2
    same: Fraction = 0.95
    stitch: Literal["ridge", "pad"] = "ridge"
    penalty: float = 1e-3
    deadline: Seconds | None = None
    deadline_factor: float | None = 1.1
    deadline_share: Fraction = 0.8
    resend_pool: bool = False
    tries: int = 3
    winners: tuple[str, ...] = ()
    scored: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def observes(self) -> bool:
        """Whether it goes by learned values."""
        return not self.winners

    @property
    def rounds(self) -> int:
        """Rounds until all positions are filled, if somebody delivers in each."""
        return self.positions

    @property
    def looking(self) -> Looking:
        """What clients look at, and how."""
        return Looking(
            mode=self.score, beta=self.beta, probe=self.probe,
            fit=self.fit if self.stitch == "ridge" else 0, penalty=self.penalty, batch=self.batch,
            at_once=self.at_once,
        )  # fmt: skip

    async def server(self, run: Run) -> None:
        """Fill one position after the other."""
        await Stitching(self, run).play()

    def models(self, shape: tuple[int, ...], classes: int) -> tuple[ops.Architecture, ...]:
        """The zoo, for such samples and labels."""
        return tuple(member(name, shape, classes) for name in self.zoo)

    def check_source(self, source: Pretraining) -> None:
        """Refuse a source that the server cannot judge by, if it is to.

        Raises:
            SpecError: it has too few samples, or others than the task.
        """
        if self.weights == "rl" and self.reward == "proxy":
            _ = source.samples(self.proxy, LEAST)

    def work(self, client: Client, model: Ref[object]) -> Cost | None:
        """All visits of a round, at the position and with the network that take most memory."""
        if client.samples < LEAST:
            return None
        shape, classes = client.run.architecture.shape, client.run.architecture.classes
        models = self.models(shape, classes)
        costs = (
            demand(
                models, shape, classes, self.positions, self.pool, self.looking, client.samples,
                portion,
            )
            for portion in self.looking.portions
        )  # fmt: skip
        return fitting(client, costs, lambda cost: cost)


def _check(chosen: FedStitch) -> None:
    """Refuse settings that make no sense.

    Raises:
        SpecError: an option is outside its range, or there is no such block.
    """
    require(bool(chosen.zoo), "the zoo is empty", "Name one model or more, such as resnet8.")
    twice = {name for name in chosen.zoo if chosen.zoo.count(name) > 1}
    require(not twice, f"{min(twice, default='')} is in the zoo twice", "Name each model once.")
    least = {"positions": 1, "probe": LEAST, "fit": LEAST, "batch": LEAST, "at_once": 1, "best": 1,
             "proxy": LEAST, "patience": 1, "tries": 1}  # fmt: skip
    for name, fewest in least.items():
        given = getattr(chosen, name)
        require(given >= fewest, f"{name} is {given}", f"Give {fewest} or more.")
    for name in ("beta", "epsilon", "decay", "eta", "phi", "same"):
        given = getattr(chosen, name)
        require(0.0 <= given <= 1.0, f"{name} is {given:g}", "Give a number from 0 to 1.")
    for name in ("tau", "penalty", "deadline_share"):
        given = getattr(chosen, name)
        require(given > 0.0, f"{name} is {given:g}", "Give a number above 0.")
    for name, kind in (("deadline", "a time"), ("deadline_factor", "a number")):
        given = getattr(chosen, name)
        fault, remedy = f"{name} is {given}", f"Give {kind} above 0, or `none`."
        require(given is None or given > 0.0, fault, remedy)
    require(
        chosen.stitch == "ridge" or chosen.score == "label",
        f"stitch: pad fits nothing, and score: {chosen.score} compares what stitches are fitted to",
        "Choose score: label, or stitch: ridge.",
    )
    if chosen.winners:
        _check_blocks(chosen)
    else:
        require(not chosen.scored, "scored without winners", "Give the winners too.")


def _check_blocks(chosen: FedStitch) -> None:
    """Refuse winners that are no blocks, may not stand where they are, or are not scored there."""
    count = chosen.positions
    names = [f"{model}/{part + 1}" for model in chosen.zoo for part in range(count)]
    for what, given in (("winners", chosen.winners), ("scored", chosen.scored or chosen.winners)):
        require(
            len(given) == count, f"{len(given)} {what} for {count} positions", "Give one for each."
        )
    for position, winner in enumerate(chosen.winners):
        candidates = chosen.scored[position] if chosen.scored else (winner,)
        for name in (winner, *candidates):
            require(
                name in names, f'no block "{name}".{did_you_mean(name, names)}',
                f"Name a model of the zoo and its part: {names[0]} to {names[-1]}.",
            )  # fmt: skip
            require(
                position in places(names.index(name), count, chosen.pool),
                f"{name} cannot stand at position {position + 1}",
                "Choose a part of that number, or from the middle and `pool: free`.",
            )
        require(
            winner in candidates, f"{winner} is not among what is scored", "Add it to `scored`."
        )
    once = len(set(chosen.winners)) == count
    require(once, "a block wins twice", "Choose another one; each is used once.")
