"""How many ranks train G in split: a turn of each network is timed, and the ranks are divided so
that neither network's ranks wait long for the other's."""

from __future__ import annotations

import time
from dataclasses import replace

import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.config import Config
from hpcgan.gan.state import State
from hpcgan.gan.update import Sums
from hpcgan.parallel.loop import signature
from hpcgan.parallel.placing import Placing
from hpcgan.parallel.sides import Links
from hpcgan.parallel.silence import Silence
from hpcgan.parallel.split import Split

_TURNS = 3  # that are timed, after the first, which is compiled


def fitting(shards: int, ranks: int) -> list[int]:
    """Return the numbers of ranks for G with which every rank has a shard."""
    return [g for g in range(1, ranks) if max(g, ranks - g) <= shards]


def best(turns: tuple[float, float], shards: int, ranks: int) -> int:
    """Return the number of ranks for G with which a step is shortest; of equal ones the fewest.

    Args:
        turns: seconds of a turn of G and of D with one shard.
        shards: their number.
        ranks: their number, 2 or more, of which some division fits.
    """
    g_turn, d_turn = turns

    def step(g: int) -> float:
        return max(-(-shards // g) * g_turn, -(-shards // (ranks - g)) * d_turn)

    return min(fitting(shards, ranks), key=step)


def time_turns(config: Config, sample_shape: tuple[int, ...], dtype: str) -> tuple[float, float]:
    """Return the seconds of a turn of G and of one of D, on this rank, with one shard.

    Networks like those of the run are made for it, and thrown away. The arguments are those of
    ``State`` and ``Split``.
    """
    own = replace(config, data=replace(config.data, shards=1))
    state, both = State(own, sample_shape), Placing(1, 2, 1)
    silence = Silence(2)
    links = Links(Sums(identity), silence.all_to_all, silence.all_reduce())
    found = []
    for rank in range(2):
        split = Split(own, state, dtype, both, rank, links)
        read = len(both.read(rank))
        samples, _, *labels = [
            tf.zeros([1 if size is None else size for size in each.shape], each.dtype)
            for each in signature(own, state, dtype, read, 1)
        ]
        found.append(_shortest(split, samples, *labels))
    return found[0], found[1]


def _shortest(split: Split, *given: tf.Tensor) -> float:
    """Return the seconds of the shortest of some turns."""
    samples, *labels = given
    times = []
    for _ in range(1 + _TURNS):
        began = time.perf_counter()
        split.run(samples, tf.constant(0, tf.int64), *labels).losses.numpy()
        times.append(time.perf_counter() - began)
    return min(times[1:])
