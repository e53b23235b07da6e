"""FedHM: each device trains layers of the rank that it can, and the server multiplies them out.

The server has a whole model. In each round it factorises the model's layers by a truncated singular
value decomposition, once for every level in use, and sends a device the factors of its rank
(`hetsim.learn.models.low_rank`, `hetsim.learn.ops.factorise`). Devices train the factors. The
server multiplies those that come back and takes the mean of whole tensors, so ranks may differ. If
nobody of the highest level in use took part, its own model is one more in the mean, for what only
high ranks know would be lost. Factors decay by their product (`hetsim.learn.objective.LowRank`),
with the rate `weight_decay` of all other values.

Source: Yao, Pan, O'Neill, Dai, Wan, Jin, Sun, "FedHM: Efficient Federated Learning for
Heterogeneous Models via Low-rank Factorization", arXiv 2111.14655, and its code
(github.com/YXShi2000/FedHM), whose levels are ranks 1 / 1, 2, 4, 8 of the outputs for CIFAR-10 and
2, 4, 8, 12 for CIFAR-100, assigned by number or by lot. The choice by hardware is hetsim's
(assumed); so is that the server's own model weighs what the others do on average, that the mean
over those who hold a class makes up its row of the classifier, and that running statistics of batch
normalisation are averaged like weights (the source keeps none).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any, Literal

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.federation.run import Reply, Run
from hetsim.learn import ops
from hetsim.methods._levels import Leveled, Levels, one_each
from hetsim.methods._sgd import require


@dataclass(frozen=True, slots=True, kw_only=True)
class FedHM(Leveled):
    """Local SGD on models of several ranks.

    Attributes:
        factors: outputs of a layer over the rank that a device trains, the highest rank first; at 1
            a device trains the whole model.
        decay: what `weight_decay` means for factors: of their product alone (frobenius), or of each
            of them as well (both), as in the authors' code.
        masked: whether a device leaves classes that it does not hold to others.
        renormalise: whether the classifier's row of a class is the mean over those who hold the
            class, if anybody does; otherwise, as in the authors' code, their sum is divided by the
            number of all, and rows shrink that few hold.
        temperature: T of weights exp(-factor / T), times those of `weighting`; 0 for none. The
            authors' code has them, with T = 1, where levels are drawn.
    """

    factors: tuple[int, ...] = (1, 2, 4, 8)
    decay: Literal["frobenius", "both"] = "frobenius"
    masked: bool = True
    renormalise: bool = True
    temperature: float = 0.0

    def __post_init__(self) -> None:
        Leveled.__post_init__(self)
        factors = list(self.factors)
        require(
            bool(factors) and factors == sorted(set(factors)) and factors[0] >= 1,
            f"factors are {factors}", "Give whole numbers from 1 on, the smallest first.",
        )  # fmt: skip
        one_each(self.proportions, len(factors), "factors")
        require(
            self.temperature >= 0.0,
            f"temperature is {self.temperature:g}", "Choose one above 0, such as 1, or 0 for none.",
        )  # fmt: skip
        least = self.trust(len(factors) - 1)
        require(
            least > 0.0,
            f"at temperature {self.temperature:g} factor {factors[-1]} weighs nothing",
            "Choose a higher temperature.",
        )  # fmt: skip
        require(
            self.decay == "frobenius" or self.weight_decay > 0.0,
            "decay is both, and weight_decay is 0", "Give a weight_decay, such as 0.0001.",
        )  # fmt: skip
        require(
            self.masked or self.renormalise,
            "rows of the classifier are not renormalised, and nobody leaves any of them to others",
            "Choose masked: true, or renormalise: true.",
        )

    def named(self, level: int, size: ops.Architecture) -> str:
        """By its rank."""
        factor = self.factors[level]
        return "full rank" if factor == 1 else f"rank 1/{factor}"

    @property
    def silent(self) -> bool:
        """Under the masked loss."""
        return self.masked

    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """One for each factor; of layers that would not get smaller, the whole ones.

        Raises:
            SpecError: no factor makes anything smaller.
        """
        sizes = [ops.low_rank(whole, factor) for factor in self.factors]
        if max(self.factors) > 1 and sizes[-1] == whole:
            raise SpecError(
                f'model "{whole.name}" has no layer that factors {list(self.factors)} make smaller',
                remedy="Choose one with wide hidden layers, such as mlp or small_cnn, larger "
                "factors, or factors: [1].",
            )
        return sizes

    def kept(self, run: Run, levels: Levels) -> ops.Architecture:
        """The whole model, whoever trains it."""
        return run.architecture

    async def merged(
        self, run: Run, model: Ref[Any], replies: Sequence[Reply[Ref[Any]]]
    ) -> Ref[Any]:
        """The mean of whole models; the server pays for it."""
        updates = await self.taken(run, model, replies)
        weights = list(self.weights(replies))
        whole, levels = ops.model_arch(model), self.levels(run)
        top = levels.used[0]
        layers = [
            reply.layers and ops.recombined_layers(reply.layers, reply.value, whole)
            for reply in replies
        ]
        shards = [reply.client.data for reply in replies]
        if levels.sizes[top] not in {levels.sizes[self.level(reply)] for reply in replies}:
            usual = sum(self.weigh(reply.client) for reply in replies) / len(replies)
            updates.append(model)
            weights.append(usual * self.trust(top))
            layers.append(None)
            shards.append(run.union)
        merged = ops.sliced_mean(
            model, updates, weights, layers=layers, shards=shards if self.masked else (),
            renormalise=self.renormalise,
        )  # fmt: skip
        await run.server.compute(merged, needs=(model, *updates))
        return merged

    def weights(self, replies: Sequence[Reply[Ref[Any]]]) -> Sequence[float]:
        """By the rank as well, if there is a temperature."""
        return [self.weigh(reply.client) * self.trust(self.level(reply)) for reply in replies]

    def trust(self, level: int) -> float:
        """What models of a level count, on any scale."""
        if not self.temperature:
            return 1.0
        return exp((self.factors[0] - self.factors[level]) / self.temperature)

    def level(self, reply: Reply[Ref[Any]]) -> int:
        """At which an update was trained."""
        return self.levels(reply.client.run).of(reply.client, reply.participation.round)

    def part(self, model: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """The factors of a rank."""
        return ops.factorised(model, size)

    def whole(self, update: Ref[Any], model: Ref[Any]) -> Ref[Any]:
        """What the factors are multiplied out."""
        return ops.recombined(update, ops.model_arch(model))

    def towards(self, level: int, top: int, number: int) -> ops.Objective | None:
        """Cross entropy, masked, with the decay of factors; plain if it is neither."""
        if self.weight_decay > 0.0 and self.factors[level] > 1:
            return ops.LowRank(self.weight_decay, self.decay == "frobenius", self.masked)
        return ops.Sliced(masked=True) if self.masked else None
