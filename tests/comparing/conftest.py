"""What tests of comparisons share: their ranks are this process alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hpcgan.comparing import start_run, subject
from hpcgan.errors import UserError
from hpcgan.scaling import launcher
from hpcgan.world import World


class Ranks:
    """Stands for the ranks that a comparison starts.

    Attributes:
        programs: the words of what was started.
        killed_at: numbers of programs that die before they write anything.
    """

    def __init__(self, world: World) -> None:
        """Run programs on ``world``."""
        self._world = world
        self.programs: list[list[str]] = []
        self.killed_at: set[int] = set()

    def run(self, ranks: int, largest: int, program: Sequence[str]) -> tuple[int, str]:
        """Do what ``launcher.run`` does."""
        words = list(program)[3:]
        self.programs.append(words)
        if len(self.programs) in self.killed_at:
            raise KeyboardInterrupt
        given = start_run.parse(words)
        try:
            start_run.run(self._world, given)
        except UserError as error:
            return error.status, f"hpcgan compare: {error}"
        return 0, ""


@pytest.fixture
def ranks(world: World, monkeypatch: pytest.MonkeyPatch) -> Ranks:
    """Return this process in the place of the ranks that a comparison starts."""
    found = Ranks(world)
    monkeypatch.setattr(launcher, "run", found.run)
    # Other tests of this process have used TensorFlow, whose threads are then as they are.
    monkeypatch.setattr(subject, "prepare_tensorflow", lambda world: None)
    monkeypatch.setattr("hpcgan.training.population.prepare_tensorflow", lambda world: None)
    return found
