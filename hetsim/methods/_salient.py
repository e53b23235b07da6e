"""What a method does that sends the output channels of a model that matter most, and no others.

Which these are is for norms of weights to say (uniform: the same share of every layer; greedy: as
many of all layers as leave a share of the operations away), or for an agent, a graph neural network
that is trained by reinforcement learning: it tries what accuracy a share of the client's own data
gives, and the client pays for it (`hetsim.learn.ops.explored`).

Assumed: a device keeps a smaller share of every layer, in tenths, if it would otherwise not be done
within the time of a round, at its highest clocks and alone on its links
(`hetsim.federation.foresight`); a tenth at least.

Reconstructed, after Yu et al., SPATL (`hetsim.methods.spatl`): an agent is trained before the run,
on the model that knows the source and on samples of the source, and like that model at nobody's
cost; clients receive it once and begin with it in every round; its graph encoders stay as they are.
What it is judged on is part of what the client trains on (assumed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.federation.client import Client
from hetsim.federation.foresight import Errand, in_time
from hetsim.federation.pretraining import Pretraining
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.methods._sgd import Sgd, require
from hetsim.methods._weighted import Weighted

_LESS: tuple[Fraction, ...] = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""What a device may keep instead of the share that it should."""
_JUDGES = 500
"""Samples of the source, at most, that an agent is judged on while it is trained beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salient(Weighted):
    """Abstract: local SGD, of which some channels are sent.

    Attributes:
        selection: how channels are chosen; none to send all.
        keep: share of the channels that `uniform` keeps in each layer.
        assignment: whether all devices keep that share (same), or those that would not be done
            within `round_time` a smaller one (hardware).
        round_time: in which a device is to be done, by hardware; left out, the pace's deadline, or
            what the median device takes if it keeps that share.
        reduction: share of the encoder's operations that is to be saved without the channels that
            `greedy` and `agent` leave out.
        episodes: of the agent, in each round.
        pretraining: its episodes before the run; 0 for an agent that begins anew at each client.
        share: of a client's samples, what the agent is judged on.
    """

    selection: Literal["uniform", "greedy", "agent", "none"] = "uniform"
    keep: Fraction = 0.7752
    assignment: Literal["hardware", "same"] = "hardware"
    round_time: Seconds | None = None
    reduction: Fraction = 0.2
    episodes: int = 5
    pretraining: int = 30
    share: Fraction = 0.1

    def __post_init__(self) -> None:
        Sgd.__post_init__(self)
        for name, value in (("keep", self.keep), ("share", self.share)):
            require(0.0 < value <= 1.0, f"{name} is {value:g}", "Choose it above 0, up to 1.")
        require(
            self.round_time is None or self.round_time > 0.0,
            "round_time is 0", 'Give time for a round, such as "30 s", or leave it out.',
        )  # fmt: skip
        require(
            self.round_time is None or (self.selection, self.assignment) == ("uniform", "hardware"),
            "round_time is given, and what is sent does not depend on it",
            "Leave it out, or choose the selection uniform and the assignment hardware.",
        )
        require(
            0.0 <= self.reduction < 1.0,
            f"reduction is {self.reduction:g}", "Choose it from 0 to below 1, such as 0.2.",
        )  # fmt: skip
        require(self.episodes >= 1, f"episodes is {self.episodes}", "Let the agent try at least 1.")
        require(
            self.pretraining >= 0,
            f"pretraining is {self.pretraining}", "Choose 0 episodes (none) or more.",
        )  # fmt: skip

    @property
    def observes(self) -> bool:
        """Whether learned values say how much is sent."""
        return self.selection in ("greedy", "agent")

    @property
    def pretrained(self) -> bool:
        """Whether an agent is trained beforehand, on the source."""
        return self.selection == "agent" and self.pretraining > 0

    def check_source(self, origin: Pretraining) -> None:
        """The source must have samples to judge the agent by.

        Raises:
            SpecError: it has none like those of the task.
        """
        try:
            origin.samples(1)
        except SpecError as fault:
            raise SpecError(
                fault.what,
                remedy="Set samples of the task's own data aside, such as `source: {share: 20 %}`, "
                "or let agents begin anew at each client: `pretraining: 0`.",
            ) from fault

    def trained_agent(self, run: Run, source: Ref[Any], encoder: ops.Architecture) -> Ref[Any]:
        """The agent that clients receive; runs over one store share it.

        Args:
            run: which has a source.
            source: a model that knows it.
            encoder: the part of that model in which channels are chosen.
        """
        return ops.agent(
            source, encoder, run.source_samples(_JUDGES), reduction=self.reduction,
            episodes=self.pretraining, share=1.0, seed=entropy(0, "learn/salience", "agent"),
        )  # fmt: skip

    def keeps(
        self, run: Run, able: Sequence[Client], errand: Callable[[Client, Fraction], Errand]
    ) -> dict[Client, Fraction]:
        """The share of channels that each client keeps, if it is the same in every layer.

        Args:
            run: which tells how much time there is.
            able: who may take part.
            errand: what a client does in a round in which it keeps such a share.
        """
        if self.selection != "uniform" or self.assignment == "same":
            return dict.fromkeys(able, self.keep)
        shares = [self.keep, *(share for share in _LESS if share < self.keep)]
        found = in_time(run, dict.fromkeys(able, shares), errand, self.round_time)
        for client, share in found.items():
            run.kernel.note(client.id, "level", f"keeps {share:.0%} of the channels")
        return found

    def choice(
        self,
        client: Client,
        model: Ref[Any],
        encoder: ops.Architecture,
        keep: Fraction,
        agent: Ref[Any] | None,
        seed: int,
    ) -> Ref[Any] | None:
        """How channels of a client's model are chosen; None if all are sent."""
        match self.selection:
            case "none":
                return None
            case "uniform":
                return ops.salient(model, encoder, keep=keep)
            case "greedy":
                return ops.salient(model, encoder, reduction=self.reduction)
            case "agent":
                return ops.explored(
                    model, encoder, client.data, reduction=self.reduction, agent=agent,
                    episodes=self.episodes, share=self.share, seed=seed,
                )  # fmt: skip
