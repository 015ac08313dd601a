"""The whole state on all ranks, where a way of training leaves parts of it to some ranks alone."""

from __future__ import annotations

import numpy as np

from hpcgan.gan.state import State
from hpcgan.parallel import Strategy
from hpcgan.world import World


class Sharing:
    """Gives all ranks what some hold.

    Attributes:
        is_needed: whether there is anything that not all ranks hold; the same on all ranks.
    """

    def __init__(self, world: World, state: State, strategy: Strategy) -> None:
        """Share the variables of ``state`` by what ``strategy`` says who holds them."""
        self._world = world
        self._state = state
        self._holders = {group: list(strategy.holders(group)) for group in state.variables()}
        self.is_needed = any(len(ranks) < world.size for ranks in self._holders.values())

    def held(self) -> list[str]:
        """Return the groups of variables that this rank holds."""
        return [group for group, ranks in self._holders.items() if self._world.rank in ranks]

    def share(self) -> None:
        """Give all ranks the state, before it is written or evaluated.

        The first rank that holds a group of variables gives it to those that do not. All ranks must
        call it, after the same step.
        """
        for group, named in self._state.variables().items():
            ranks = self._holders[group]
            if len(ranks) == self._world.size:
                continue
            for variable in named.values():
                array = self._world.broadcast_array(np.array(variable), ranks[0])
                if self._world.rank not in ranks:
                    variable.assign(array)
