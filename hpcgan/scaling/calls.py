"""What the two programs of a study share: their command line and file, and a trainer of a
configuration's networks on its samples, as in ``hpcgan train`` without log and checkpoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan import command
from hpcgan.config import Config
from hpcgan.config_file import load
from hpcgan.data.placement import Shard, opened_shards
from hpcgan.devices import prepare_tensorflow
from hpcgan.files import write_whole
from hpcgan.scaling.runs import Start, to_json
from hpcgan.training import plan as plans
from hpcgan.training.callback import Call, Callback
from hpcgan.training.plan import Plan
from hpcgan.training.resolving import balanced
from hpcgan.training.timer import Timer
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.state import State
    from hpcgan.parallel import Strategy
    from hpcgan.parallel.timer import CollectiveTimer
    from hpcgan.training.trainer import Trainer


class NoiseScales(Callback):
    """Averages the noise scales of the gradients of D and G over the calls of a trainer."""

    def __init__(self, config: Config) -> None:
        """Begin without measurements; ``config`` has ``data.shards`` resolved to a number."""
        from hpcgan.gan.noise_scale import noise_scales

        self._scales = noise_scales(config)

    def after_call(self, call: Call) -> None:
        """Take the measurements of a call."""
        for number, each in enumerate(self._scales):
            each.add(call.squares[:, number])

    def values(self) -> dict[str, float | None]:
        """Return them in images, as attributes of what a start leaves; None if not known."""
        d, g = (each.value for each in self._scales)
        return {"noise_scale_d": d, "noise_scale_g": g}


Make = Callable[[World, "Given", float], dict[str, Any]]


def main(kind: type[Start], make: Make) -> int:
    """Run a program of a study on all ranks; return its exit status. Arguments: see ``parse``."""
    return command.run("hpcgan scale", lambda: parse(kind, make, sys.argv[1:]))


def parse(kind: type[Start], make: Make, words: list[str]) -> argparse.Namespace:
    """Return the parsed command line of a program, whose ``run`` all ranks must call.

    Args:
        kind: of the file that it writes.
        make: is given the ranks, what to train and AMOUNT; returns what the file holds besides the
            attributes of ``Start``.
        words: CONFIG.yaml OUT.json weak|strong AMOUNT, and what is for the configuration. AMOUNT is
            of seconds to measure, or of images to train on.
    """
    parser = command.Parser("hpcgan scale", allow_abbrev=False)
    parser.add_argument("config")
    parser.add_argument("out", type=Path)
    parser.add_argument("kind", choices=("weak", "strong"))
    parser.add_argument("amount", type=float)
    arguments, overrides = parser.parse_known_args(words)

    def run(world: World, given: argparse.Namespace) -> None:
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        words = list(overrides)
        if given.kind == "weak":
            words += ["--data.shards", str(world.size)]
        config = world.on_root(lambda: asdict(load(given.config, words)))
        # A run directory that does not exist, and that nothing here makes.
        nowhere = given.out.with_suffix(".none")
        with opened(world, given.config, words, nowhere) as training:
            own = make(world, training, given.amount)
        start = kind(given.kind, started, world.gather_json(world.host), config, **own)
        world.on_root(lambda: write_whole(given.out, to_json(start).encode()))

    arguments.run = run
    return arguments


@contextmanager
def opened(world: World, config: str, overrides: list[str], run_dir: Path) -> Iterator[Given]:
    """Give what a configuration trains.

    All ranks must enter it together; what is wrong is raised on all of them.
    """
    plan = plans.prepare(world, config, overrides, run_dir, "never")
    world.all_or_raise(lambda: prepare_tensorflow(world))
    from hpcgan.gan.state import State

    plan = balanced(world, plan)
    with opened_shards(world, plan.config, plan.source, plan.assignment) as shards:
        state = world.all_or_raise(lambda: State(plan.config, plan.source.sample_shape))
        yield Given(world, plan, state, shards)


@dataclass(frozen=True)
class Given:
    """The networks and the samples that a program trains, without log and checkpoints."""

    world: World
    plan: Plan
    state: State
    shards: Callable[[int], Mapping[int, Shard]]  # of this rank, in the order of a seed

    def over_ring(self, collectives: CollectiveTimer | None = None) -> Strategy:
        """Return the way of training over the ring. All ranks must call it."""
        from hpcgan.parallel.making import over_ring

        config, dtype = self.plan.config, self.plan.source.dtype
        return over_ring(self.world, config, self.state, dtype, collectives)

    def trainer(
        self, strategy: Strategy, timer: Timer, callbacks: Sequence[Callback] = ()
    ) -> Trainer:
        """Return a trainer by some way of training."""
        from hpcgan.training.trainer import Trainer

        own = self.shards(self.plan.config.seed)
        return Trainer(self.world, self.plan, self.state, strategy, own, timer, callbacks)
