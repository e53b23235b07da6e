"""How flows share a network: what a route's latencies and bandwidths make of a flow on it.

    model                     waits        weight w                      payload rate g
    maxmin                    l            1                             x
    maxmin_inverse_latency    l            1 / l                         x
    lv08                      13.01 l      1 / (l + sum 20537 / C_i)     0.97 x,  x <= W / (2 l)

l is the sum of the latencies on the route, C_i the present bandwidths of its links, x = w * level a
flow's share at its bottleneck, W = 4 MiB the largest TCP window. Under lv08 a flow also takes
0.05 x of every link of the way back, for its acknowledgements. A link at zero bandwidth stops its
flows whatever they weigh, so it adds nothing to the sum.

Source: Velho and Legrand, "Accuracy study and improvement of network simulation in the SimGrid
framework", SIMUTools 2009, and SimGrid's `network/model` defaults for the constants; 1 / l is the
round-trip bias of TCP in Casanova and Marchal, "A network model for simulation of grid
applications", RR-4596, INRIA 2002.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Protocol

from hetsim.core.quantities import Bytes, Rate, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a flow of payload bytes meets on a route.

    Attributes:
        wait: seconds before its first byte counts.
        weight: its share at a common bottleneck.
        cap: largest payload rate, whatever the links could carry.
        use: bytes on each link of the route a payload byte.
        back: bytes on each link of the way back a payload byte.
    """

    wait: Seconds
    weight: float = 1.0
    cap: Rate = inf
    use: float = 1.0
    back: float = 0.0


class NetworkModel(Protocol):
    """One of the models above.

    Attributes:
        follows_bandwidth: whether its terms change with the bandwidths.
    """

    follows_bandwidth: ClassVar[bool]

    def terms(self, latencies: Sequence[Seconds], bandwidths: Sequence[Rate]) -> Terms:
        """Terms of a route.

        Args:
            latencies: one way, of each link.
            bandwidths: at present, of each link.

        Raises:
            ValueError: the model says nothing of such a route.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxMin:
    """Equal shares at a common bottleneck."""

    follows_bandwidth: ClassVar[bool] = False

    def terms(self, latencies: Sequence[Seconds], bandwidths: Sequence[Rate]) -> Terms:
        """Equal weights, whatever the route.

        >>> MaxMin().terms([0.01, 0.02], [1e6, 1e6])
        Terms(wait=0.03, weight=1.0, cap=inf, use=1.0, back=0.0)
        """
        return Terms(wait=sum(latencies))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxMinInverseLatency:
    """Shares in inverse proportion to the latency of the route."""

    follows_bandwidth: ClassVar[bool] = False

    def terms(self, latencies: Sequence[Seconds], bandwidths: Sequence[Rate]) -> Terms:
        """The nearer, the more.

        >>> MaxMinInverseLatency().terms([0.25], [1e6]).weight
        4.0
        """
        latency = sum(latencies)
        if not latency > 0.0:
            raise ValueError("maxmin_inverse_latency needs a latency above zero on every route")
        return Terms(wait=latency, weight=1.0 / latency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lv08:
    """TCP as a fluid: slow start, headers, round-trip bias, window, acknowledgements.

    Attributes:
        slow_start: what the wait is longer than the latency by, a factor.
        efficiency: payload a byte on the wire.
        bias: bytes; bandwidths weigh like latencies through it.
        window: largest TCP window.
        acknowledgements: bytes on the way back a byte on the way.
    """

    follows_bandwidth: ClassVar[bool] = True
    slow_start: float = 13.01
    efficiency: float = 0.97
    bias: Bytes = 20537.0
    window: Bytes = 4194304.0
    acknowledgements: float = 0.05

    def terms(self, latencies: Sequence[Seconds], bandwidths: Sequence[Rate]) -> Terms:
        """As the table says, a payload byte at a time.

        A share above the narrowest link's bandwidth is impossible as it is, so that bound of the
        model needs no cap.
        """
        latency = sum(latencies)
        slowness = latency + sum(self.bias / each for each in bandwidths if each > 0.0)
        return Terms(
            wait=self.slow_start * latency,
            weight=self.efficiency / slowness if slowness > 0.0 else self.efficiency,
            cap=self.efficiency * self.window / (2.0 * latency) if latency > 0.0 else inf,
            use=1.0 / self.efficiency,
            back=self.acknowledgements / self.efficiency,
        )


NETWORK_MODELS: dict[str, NetworkModel] = {
    "maxmin": MaxMin(),
    "maxmin_inverse_latency": MaxMinInverseLatency(),
    "lv08": Lv08(),
}
"""By the name under which a topology chooses one."""
