"""What a step of synchronous training costs on any number of ranks.

A step is made of five parts, in seconds:

- compute: the mean over ranks of the forward and backward passes and the update;
- stragglers: the step waits for the slowest of p ranks, and the expected maximum of p draws of the
  compute time grows with p though nothing is slower than before;
- exchange: the all-reduce of the gradients, as far as it does not go on beside the computing, with
  what its controller takes before it starts;
- input: what the file system, which all ranks share, needs longer than all of this to read the
  samples of a step, since batches are read ahead;
- checkpoint: the pause for a checkpoint, divided by the steps between two.

Messages cost as in the latency-bandwidth model (Hockney, Parallel Computing 20, 389 (1994)): a + n
b seconds for n bytes. All-reduces of n bytes over p ranks on m nodes:

- ring (Patarasuk and Yuan, J. Parallel Distrib. Comput. 69, 117 (2009)):
  2 (p - 1) / p n b + 2 (m - 1) a + 2 (p - m) a', with b of the slowest link in the ring, a of the
  links between nodes and a' of those within one (NCCL counts the hops of its rings like this);
- tree, two binary trees at once (Sanders, Speck and Träff, Parallel Computing 35, 581 (2009)):
  2 n b + 2 a log2 m + 2 a' log2 (p / m), logarithms rounded up;
- hierarchical: such trees within each node, around a ring over the m nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from hpcgan.errors import ConfigError
from hpcgan.scaling.stragglers import slowest_of

Algorithm = Literal["ring", "tree", "hierarchical"]


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


@dataclass(frozen=True)
class Link:
    """What messages cost from rank to rank.

    Attributes:
        latency: seconds one way.
        bandwidth: bytes a second in each direction; between nodes, of the node, not of the rank.
        software: bytes a second at which the ranks themselves copy and add what they send, before
            or after it is on the link.
        trips: that a large message makes: 1, or 3 where it is announced and granted before the
            data goes, as MPI does.
        eager: bytes up to which a message goes at once, in one trip.

    Raises:
        ConfigError: a value is out of bounds.
    """

    latency: float
    bandwidth: float
    software: float = math.inf
    trips: int = 1
    eager: float = 0.0

    def __post_init__(self) -> None:
        _check(0 <= self.latency < math.inf, f"a link's latency is {self.latency} s")
        _check(self.bandwidth > 0, f"a link's bandwidth is {self.bandwidth} bytes/s")
        _check(self.software > 0, f"a link's software moves {self.software} bytes/s")
        _check(self.trips >= 1, f"a link's messages make {self.trips} trips")
        _check(self.eager >= 0, f"a link's eager limit is {self.eager} bytes")

    def message(self, size: float) -> float:
        """Return the seconds that a message of ``size`` bytes costs besides its bytes."""
        return (self.trips if size > self.eager else 1) * self.latency

    @property
    def byte(self) -> float:
        """Seconds that a byte costs."""
        return 1 / self.bandwidth + 1 / self.software


@dataclass(frozen=True)
class Machine:
    """Where the ranks are.

    Attributes:
        between: the link of each node to the others.
        within: the link from rank to rank of one node.
        ranks_per_node: how many ranks share a node.
        algorithm: of the all-reduce.
        file_system_bandwidth: bytes a second that all ranks together can read.
        checkpoint_bandwidth: bytes a second of a checkpoint while the ranks wait for it; where
            a thread writes it beside the training, the speed of the copy that the thread gets.

    Raises:
        ConfigError: a value is out of bounds.
    """

    between: Link
    within: Link
    ranks_per_node: int = 1
    algorithm: Algorithm = "ring"
    file_system_bandwidth: float = math.inf
    checkpoint_bandwidth: float = math.inf

    def __post_init__(self) -> None:
        known = get_args(Algorithm)
        _check(self.ranks_per_node >= 1, f"there are {self.ranks_per_node} ranks a node")
        _check(
            self.algorithm in known, f"the all-reduce is {self.algorithm}, not {', '.join(known)}"
        )
        for name in ("file_system_bandwidth", "checkpoint_bandwidth"):
            _check(getattr(self, name) > 0, f"{name} is {getattr(self, name)} bytes/s")

    def nodes(self, ranks: int) -> int:
        """Return how many nodes ``ranks`` fill, the last one perhaps in part."""
        return math.ceil(ranks / self.ranks_per_node)


@dataclass(frozen=True)
class Work:
    """What a rank does in a step.

    Attributes:
        samples: of the rank's batch.
        compute_fixed: seconds of computing that do not depend on the batch.
        compute_per_sample: seconds of computing a sample.
        variation: standard deviation of the compute time over ranks and steps, in means of it.
        gradient_bytes: that all exchanges of a step average.
        exchanges: of a step; each has its own messages and its own overhead.
        overhead: seconds from the call to the start of an exchange, and back, on any ranks.
        negotiations: small all-reduces before each exchange, which find that all are ready.
        overlap: the share of the compute time, at its end, during which gradients are exchanged
            already: 0 if all go in one message when the last is known, 2/3 if each goes as soon as
            the backward pass has made it.
        sample_bytes: that are read from the file system for each sample.
        checkpoint_bytes: of a checkpoint.
        checkpoint_every: steps between two checkpoints; 0 for none.

    Raises:
        ConfigError: a value is out of bounds.
    """

    samples: float
    compute_fixed: float
    compute_per_sample: float
    variation: float = 0.0
    gradient_bytes: float = 0.0
    exchanges: int = 1
    overhead: float = 0.0
    negotiations: float = 0.0
    overlap: float = 0.0
    sample_bytes: float = 0.0
    checkpoint_bytes: float = 0.0
    checkpoint_every: int = 0

    def __post_init__(self) -> None:
        _check(self.samples > 0, f"a rank's batch has {self.samples} samples")
        for name, value in vars(self).items():
            _check(0 <= value < math.inf, f"{name} is {value}; it must be a number from 0")
        _check(self.compute > 0, "a step takes no time to compute")
        _check(self.exchanges >= 1, f"a step has {self.exchanges} exchanges")
        _check(self.overlap <= 1, f"overlap is {self.overlap}; it must be at most 1")

    @property
    def compute(self) -> float:
        """Mean seconds of computing in a step."""
        return self.compute_fixed + self.compute_per_sample * self.samples


@dataclass(frozen=True)
class Step:
    """The parts of a mean step, in seconds, as the module's docstring tells them."""

    compute: float
    stragglers: float
    exchange: float
    input: float
    checkpoint: float

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return sum(vars(self).values())

    @property
    def bottleneck(self) -> str:
        """The name of the largest part that is not computing; ``compute`` if there is none."""
        waits = {name: value for name, value in vars(self).items() if name != "compute"}
        largest = max(waits, key=waits.__getitem__)
        return largest if waits[largest] > 0 else "compute"


def step(machine: Machine, work: Work, ranks: int) -> Step:
    """Return what a step costs on ``ranks`` ranks, 1 to 100,000 and more.

    Raises:
        ConfigError: there is no rank.
    """
    _check(ranks >= 1, f"{ranks} ranks; there must be at least 1")
    slowest = work.compute * slowest_of(ranks, work.variation)
    exchange = visible_exchange(machine, work, ranks, slowest)
    reading = read_seconds(machine, work, ranks)
    return Step(
        compute=work.compute,
        stragglers=slowest - work.compute,
        exchange=exchange,
        input=max(0.0, reading - slowest - exchange),
        checkpoint=(
            checkpoint_seconds(machine, work) / work.checkpoint_every
            if work.checkpoint_every
            else 0.0
        ),
    )


def visible_exchange(machine: Machine, work: Work, ranks: int, slowest: float) -> float:
    """Return the seconds of a step in which ranks wait for the exchange of their gradients.

    The first gradients can be exchanged when the slowest rank has them: so what is hidden is at
    most the overlapping share of its compute time.

    Args:
        machine: where the ranks are.
        work: what they do.
        ranks: how many.
        slowest: seconds that the slowest of them computes.
    """
    if ranks == 1:
        return 0.0
    link = machine.between if machine.nodes(ranks) > 1 else machine.within
    negotiation = work.negotiations * math.ceil(math.log2(ranks)) * link.latency
    moving = work.exchanges * all_reduce(machine, ranks, work.gradient_bytes / work.exchanges)
    shown = max(0.0, moving - work.overlap * slowest)
    return work.exchanges * (work.overhead + negotiation) + shown


def read_seconds(machine: Machine, work: Work, ranks: int) -> float:
    """Return the seconds in which the file system gives all ranks the samples of a step."""
    return ranks * work.samples * work.sample_bytes / machine.file_system_bandwidth


def checkpoint_seconds(machine: Machine, work: Work) -> float:
    """Return the seconds that all ranks wait for one checkpoint."""
    return work.checkpoint_bytes / machine.checkpoint_bandwidth


def all_reduce(machine: Machine, ranks: int, size: float) -> float:
    """Return the seconds of one all-reduce of ``size`` bytes, by the formulas of the module."""
    nodes = machine.nodes(ranks)
    share = math.ceil(ranks / nodes)  # ranks of the fullest node
    between, within = machine.between, machine.within
    used = [link for link, is_used in ((between, nodes > 1), (within, share > 1)) if is_used]
    if not used:
        return 0.0
    byte = max(link.byte for link in used)
    if machine.algorithm == "ring":
        part = size / ranks
        hops = 2 * (nodes - 1) * between.message(part) + 2 * (ranks - nodes) * within.message(part)
        return hops + _around(ranks) * size * byte
    local = 2 * math.ceil(math.log2(share)) * within.message(size)
    if machine.algorithm == "tree":
        levels = 2 * math.ceil(math.log2(nodes))
        return local + levels * between.message(size) + 2 * size * byte
    if share > 1:
        local += 2 * size * within.byte
    hops = 2 * (nodes - 1) * between.message(size / nodes)
    return local + hops + _around(nodes) * size * between.byte


def _around(members: int) -> float:
    """Return how often each byte goes over each link of a ring: 2 (p - 1) / p."""
    return 2 * (members - 1) / members
