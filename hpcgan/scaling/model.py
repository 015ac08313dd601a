"""What a training step costs on any number of ranks.

A step has three parts, in seconds:

- compute: the mean over ranks of the forward and backward passes and the update;
- stragglers: all wait for the slowest of p ranks, and the expected maximum of p compute times
  grows with p though no rank is slower than before;
- exchange: what the way of training sends (``Traffic``), and what the controller takes before it
  starts.

Messages cost as in the latency-bandwidth model (Hockney, Parallel Computing 20, 389 (1994)): a + n
b seconds for n bytes. The all-reduce is a ring (Patarasuk and Yuan, J. Parallel Distrib. Comput.
69, 117 (2009)): n bytes over p ranks on m nodes take 2 (p - 1) / p n b + 2 (m - 1) a + 2 (p - m) a'
seconds, with b of the slowest link in the ring, a of the links between nodes and a' of those within
one (NCCL counts the hops of its rings like this). A hand-over of split sends all messages at
once: of n bytes that a rank gives, or gets if that is more, n b seconds; r n b from a node with r
ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

# A large MPI message is announced, granted, and then sent.
_TRIPS = 3


@dataclass(frozen=True)
class Step:
    """The parts of a mean step, in seconds, as in the module's docstring."""

    compute: float
    stragglers: float
    exchange: float

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return self.compute + self.stragglers + self.exchange

    @property
    def bottleneck(self) -> str:
        """The name of the larger part that is not computing; ``compute`` if there is none."""
        name = "stragglers" if self.stragglers >= self.exchange else "exchange"
        return name if getattr(self, name) > 0 else "compute"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What a way of training sends in a step.

    Synchronous training has all-reduces of all ranks alone; local discriminators have others within
    the ranks of a discriminator, split within those of a network, besides its hand-over.
    """

    gradient_bytes: float = 0.0  # that all all-reduces of all ranks average
    exchanges: int = 1  # such all-reduces; each has its own messages and its own overhead
    group_bytes: float = 0.0  # the same of the all-reduces within a group of ranks
    group_exchanges: int = 0
    group_share: float = 1.0  # of all ranks, that the group has
    hand_over_bytes: float = 0.0  # that a rank gives or gets in a hand-over, the larger
    hand_overs: int = 0
    batch_share: float = 1.0  # of all ranks, those between which the images of a step are divided

    @property
    def traffic(self) -> dict[str, Any]:
        """These numbers, by name."""
        return {each.name: getattr(self, each.name) for each in fields(Traffic)}

    @property
    def sends(self) -> bool:
        """Whether a step sends anything."""
        return self.gradient_bytes + self.group_bytes + self.hand_over_bytes > 0

    def images(self, ranks: int, samples: float) -> float:
        """Return the images of a step on ranks that have ``samples`` each."""
        return ranks * self.batch_share * samples

    def samples_of(self, images: float, ranks: int) -> float:
        """Return the samples of a rank, of the images of a step."""
        return images / (ranks * self.batch_share)


@dataclass(frozen=True, kw_only=True)
class Model(Traffic):
    """What a rank does in a step, and the links between the ranks.

    Latencies are seconds one way, bandwidths bytes per second in each direction.
    """

    samples: float  # of a rank's batch
    compute_fixed: float  # seconds of computing that do not depend on the batch
    compute_per_sample: float  # seconds
    variation: float = 0.0  # standard deviation of the compute time over its mean
    overhead: float = 0.0  # seconds from the call to the start of an exchange, and back
    # Small all-reduces before each exchange, which find that all are ready. Horovod's controller
    # asks once in each cycle, and the cycle before, which came too early, is on average half done
    # when the last rank is ready.
    negotiations: float = 1.5
    ranks_per_node: int = 1
    within_latency: float = 1e-6  # of shared memory: too little to be seen beside the overhead
    within_bandwidth: float = math.inf  # from rank to rank of a node
    between_latency: float = 1e-6
    between_bandwidth: float = math.inf  # of each node, which its ranks share
    eager: float = 65536  # bytes above which Open MPI announces a message over TCP

    @property
    def compute(self) -> float:
        """Mean seconds of computing in a step."""
        return self.compute_fixed + self.compute_per_sample * self.samples

    def nodes(self, ranks: int) -> int:
        """Return how many nodes ``ranks`` fill, the last one perhaps in part."""
        return math.ceil(ranks / self.ranks_per_node)

    def step(self, ranks: int) -> Step:
        """Return what a step costs on ``ranks`` ranks, 1 to 100,000 and more."""
        stragglers = self.compute * (slowest_of(ranks, self.variation) - 1)
        return Step(self.compute, stragglers, self.exchange(ranks))

    def exchange(self, ranks: int) -> float:
        """Return the seconds of all exchanges of a step."""
        of_all = self._all_reduces(ranks, self.gradient_bytes, self.exchanges)
        group = max(1, round(ranks * self.group_share))
        of_group = self._all_reduces(group, self.group_bytes, self.group_exchanges)
        handing = self._start(ranks) + self.hand_over(ranks, self.hand_over_bytes)
        return of_all + of_group + self.hand_overs * handing

    def _all_reduces(self, ranks: int, size: float, number: int) -> float:
        """Return the seconds of some all-reduces among ``ranks``, of ``size`` bytes together."""
        if ranks == 1 or not number:
            return 0.0
        return number * (self._start(ranks) + self.all_reduce(ranks, size / number))

    def _start(self, ranks: int) -> float:
        """Return the seconds from when the last of some ranks is ready until they exchange."""
        latency = self.between_latency if self.nodes(ranks) > 1 else self.within_latency
        return self.overhead + self.negotiations * math.ceil(math.log2(ranks)) * latency

    def all_reduce(self, ranks: int, size: float) -> float:
        """Return the seconds of one all-reduce of ``size`` bytes, by the ring of the module."""
        nodes, part = self.nodes(ranks), size / ranks
        trips = 1 if part <= self.eager else _TRIPS
        hops = (nodes - 1) * trips * self.between_latency + (ranks - nodes) * self.within_latency
        between = 1 / self.between_bandwidth if nodes > 1 else 0.0
        within = 1 / self.within_bandwidth if ranks > nodes else 0.0
        return 2 * (hops + (ranks - 1) * part * max(between, within))

    def hand_over(self, ranks: int, size: float) -> float:
        """Return the seconds of an all-to-all in which a rank gives or gets ``size`` bytes."""
        if self.nodes(ranks) == 1:
            return self.within_latency + size / self.within_bandwidth
        # What each rank will send is told first.
        latency = (1 + _TRIPS) * self.between_latency
        return latency + min(ranks, self.ranks_per_node) * size / self.between_bandwidth


@lru_cache(maxsize=4096)
def slowest_of(ranks: int, variation: float) -> float:
    """Return the expected compute time of the slowest of ``ranks`` ranks, in means of all.

    The times are gamma-distributed, with mean 1 and the standard deviation ``variation``: positive,
    skewed to the slow side, near a normal distribution for small variations, and exponential for 1.

    E[max] of n draws is the mean of F^-1(u^(1/n)) over uniform u (David and Nagaraja, Order
    Statistics, 2003, section 3.1). With u = exp(-e^-t), the weight of t is Gumbel's density and
    the integrand smooth, with tails that vanish: so the trapezoidal rule converges exponentially,
    here to about 1e-9, and no power of a number near 1 is taken.
    """
    if ranks == 1 or variation == 0:
        return 1.0
    shape = variation**-2
    t = np.linspace(-4.5, 50, 2181)
    tail = np.minimum(-np.expm1(-np.exp(-t) / ranks), np.nextafter(1, 0))  # 1 may be infinity
    values = special.gammainccinv(shape, tail) / shape
    return float(np.sum(values * np.exp(-t - np.exp(-t))) * (t[1] - t[0]))
