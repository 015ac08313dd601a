"""Local discriminators: each D has its own part of the shards, and G learns from all of them.

    rank 0: shards 0, 1 with D 0   --- G's gradients --+
    rank 1: shards 2, 3 with D 1   --- G's gradients --+--> mean, the same G on every rank
    rank 2: shards 4, 5 with D 2   --- G's gradients --+

    every swap_every steps:  D 0 -> D 1 -> D 2 -> D 0, with their optimizers

A D's gradients stay on the ranks that host its shards: with one rank a D only G's travel. This is
MD-GAN (Hardy, Le Merrer, Sericola, IPDPS 2019, algorithm 1), but that every rank keeps and updates
G, instead of a server that sends generated batches; and all workers' batches differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan.state import State
from hpcgan.gan.step import TrainingStep
from hpcgan.gan.update import Sums
from hpcgan.group import Group
from hpcgan.parallel import Report
from hpcgan.parallel.loop import COLUMNS, over_steps, report, signature
from hpcgan.parallel.placing import Placing
from hpcgan.parallel.synchronous import describe


class Local:
    """A ``Strategy`` for one rank, and those discriminators that it hosts a part of or whole."""

    def __init__(
        self,
        config: Config,
        state: State,
        dtype: str,
        placing: Placing,
        world: Group,
        sums: Sums,
        own_sums: Sums,
        sum_all: Callable[[tf.Tensor], tf.Tensor],
    ) -> None:
        """Compile the training step, for any number of steps per call.

        Args:
            config: with ``data.shards`` and ``train.swap_every`` resolved to numbers.
            state: the networks and optimizers, of which ``run`` changes those of this rank.
            dtype: of the samples, "uint8" or "float32".
            placing: of the shards on the ranks.
            world: all ranks, which swap their discriminators by it.
            sums: over all ranks.
            own_sums: over the ranks that share this rank's discriminator.
            sum_all: the sum over all ranks.
        """
        self._state, self._world, self._sum_all = state, world, sum_all
        self._config, self._placing, self._rank = config, placing, world.rank
        self.period = config.train.swap_every or None
        hosted = placing.hosted(world.rank)
        step = TrainingStep(config, state, hosted, sums, own_sums)
        update = {"simultaneous": step.simultaneous, "alternating": step.alternating}
        self._networks = step.networks
        self._train_step = update[config.train.update]
        self.refresh = step.refresh
        self._own = [
            number
            for number in range(config.train.discriminators)
            if world.rank in self._ranks_of(number)
        ]
        count = config.train.discriminators
        self.description = f"{count} discriminators; {describe(state, len(hosted), step.together)}"
        # Of a D that several ranks share, the first one speaks.
        self._share = sum(self._ranks_of(n)[0] == world.rank for n in self._own) / count
        given = signature(config, state, dtype, len(hosted), len(hosted))
        self.run = tf.function(self._run, input_signature=given, autograph=False)

    def holders(self, group: str) -> Sequence[int]:
        """Return the ranks that hold a group of variables: those that host a D's shards, of D's."""
        names = self._state.discriminator_names
        for number in reversed(range(len(names))):
            if group.startswith(names[number]):
                return self._ranks_of(number)
        return range(self._placing.ranks)

    def _ranks_of(self, number: int) -> list[int]:
        """Return the ranks that host shards of a discriminator."""
        each = self._placing.shards // self._config.train.discriminators
        shards = range(number * each, (number + 1) * each)
        return [
            rank
            for rank in range(self._placing.ranks)
            if max(shards.start, self._placing.hosted(rank).start)
            < min(shards.stop, self._placing.hosted(rank).stop)
        ]

    def request_stop(self) -> None:
        """Have all ranks learn in their next step that this rank wants to stop."""
        self._networks.stop.assign(1.0)

    def _run(
        self, samples: tf.Tensor, first_step: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Report:
        """Make a training step for each step of ``samples``, as ``Strategy.run``.

        All ranks must call it for the same steps, in the same calls.
        """
        staleness = self._config.staleness
        table = over_steps(self._train_step, samples, labels, first_step, staleness)
        # G's loss and the stop note are means of all ranks, D's loss is of this rank's; a skip of
        # any rank counts.
        is_first, of_d = float(self._rank == 0), self._share
        factors = tf.constant([of_d, is_first, is_first, 1.0, of_d, of_d, is_first, is_first])
        flat = tf.reshape(table * factors, [-1])
        return report(tf.reshape(self._sum_all(flat), [-1, COLUMNS]))

    def between_calls(self, step: int) -> None:
        """Swap the discriminators if it is time. All ranks must call it after each call."""
        every, count = self._config.train.swap_every, len(self._state.discriminators)
        if not every or step % every:
            return
        kind, seed = self._config.train.swap, self._config.seed
        goes_to = next_places(kind, count, seed, step // every)
        self._move(goes_to)

    def _move(self, goes_to: Sequence[int]) -> None:
        """Move each D, with its moving statistics and optimizer, to another one's shards.

        Its first rank gives it to all ranks of its new place. All ranks must call it.
        """
        variables = self._state.variables()
        names = self._state.discriminator_names
        of_place = [
            [*variables[name].values(), *variables[f"{name}_optimizer"].values()] for name in names
        ]
        before = {n: [np.array(each) for each in of_place[n]] for n in self._own}
        sends, receives = [], []
        for number, place in enumerate(goes_to):
            source = self._ranks_of(number)[0]
            for target in self._ranks_of(place):
                if source == target == self._rank:
                    _assign(of_place[place], before[number])
                elif source == self._rank:
                    sends += [(target, array) for array in before[number]]
                elif target == self._rank:
                    empty = [np.empty_like(np.array(each)) for each in of_place[place]]
                    receives.append((source, place, empty))
        wanted = [(source, array) for source, _, arrays in receives for array in arrays]
        self._world.pass_arrays(sends, wanted)
        for _, place, arrays in receives:
            _assign(of_place[place], arrays)


def next_places(kind: str, count: int, seed: int, number: int) -> list[int]:
    """Return where each of ``count`` discriminators goes at a swap.

    Args:
        kind: ring (to the next) or random (by a cycle through all, drawn anew for each swap).
        count: of discriminators, 2 or more.
        seed: of the run.
        number: of the swap, from 1.
    """
    order = np.arange(count)
    if kind == "random":
        generator = np.random.Generator(np.random.Philox(key=[seed, number]))
        order = generator.permutation(count)
    places = np.empty(count, int)
    places[order] = np.roll(order, -1)
    return places.tolist()


def _assign(variables: Sequence, arrays: Sequence[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
