"""Train seed after seed and take the Fréchet distance on the way: runs of a quality study.

    python -m hpcgan.scaling.curve_run CONFIG.yaml DIR --seeds 0,1 [--target D]
        [--section.key VALUE ...]

``hpcgan scale quality`` starts it, on one rank: what is trained follows from the shards, not from
the ranks. It makes the same steps as ``hpcgan train`` with this configuration, without log and
checkpoints; the networks are compiled once for all seeds. A run ends when it has reached the target
(and the next point has confirmed it), or at its ``limit``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from hpcgan import command
from hpcgan.config import Config
from hpcgan.config_file import load
from hpcgan.errors import Diverged
from hpcgan.evaluation.judging import FrechetJudge, open_judging
from hpcgan.files import write_whole, writing
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Given, NoiseScales
from hpcgan.scaling.curves import Curve, CurvePoint, crossing, grid, limit, path_of
from hpcgan.scaling.runs import to_json
from hpcgan.training.timer import Timer
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.parallel import Strategy

_LATENTS = 1  # the seed of the latents that are evaluated


def main() -> int:
    """Make the runs that the command line asks for; return the exit status."""
    return command.run("hpcgan scale", lambda: parse(sys.argv[1:]))


def parse(words: list[str]) -> argparse.Namespace:
    """Return the parsed command line, whose ``run`` makes the runs."""
    parser = command.Parser("hpcgan scale", allow_abbrev=False)
    parser.add_argument("config")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--target", type=float)
    arguments, overrides = parser.parse_known_args(words)

    def run(world: World, given: argparse.Namespace) -> None:
        config = world.on_root(lambda: asdict(load(given.config, overrides)))
        with calls.opened(world, given.config, overrides, given.out / "none") as training:
            _Runs(training, config, given.out, given.target).make(_numbers(given.seeds))

    arguments.run = run
    return arguments


def _numbers(word: str) -> list[int]:
    return [int(each) for each in word.split(",")]


class _Runs:
    """Runs of one configuration, but for their seeds."""

    def __init__(self, given: Given, config: dict, directory: Path, target: float | None) -> None:
        """Compile the training step, and read the samples by which a run is judged."""
        self._given, self._asked = given, config
        self._directory, self._target = directory, target
        plan = given.plan
        self._config: Config = plan.config
        world, evaluate = given.world, plan.config.evaluate
        source = open_judging(world, plan.config, "generated samples are judged")
        self._judge = FrechetJudge(world, source, evaluate.samples)
        is_other = bool(plan.config.tournament.data or evaluate.held_out)
        floor = self._judge.of_real if is_other else self._judge.of_halves
        self._floor = floor(plan.source)
        self._strategy: Strategy = given.over_ring()
        self._per_step = plan.images_per_step
        shards = plan.config.data.shards
        assert shards is not None
        self._shards = shards
        self._budget = plan.config.train.steps * self._per_step // shards

    def make(self, seeds: Sequence[int]) -> None:
        """Make the runs of some seeds."""
        rule = self._config.optimizer.scaling
        for seed in seeds:
            path = path_of(self._directory, self._shards, rule, seed)
            curve = self._curve(seed)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, to_json(curve).encode())

    def _curve(self, seed: int) -> Curve:
        """Make the run of a seed."""
        from hpcgan.gan.state import State

        given, config = self._given, replace(self._config, seed=seed)
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        given.state.take(State(config, given.plan.source.sample_shape).snapshot())
        self._strategy.refresh(config)
        noise = NoiseScales(config)
        run = replace(given, plan=replace(given.plan, config=config))
        trainer = run.trainer(self._strategy, Timer(), [noise])
        points = [self._point(seed)]
        for images in grid(self._budget, limit(self._shards, self._budget)):
            trainer.fit(math.ceil(images / self._per_step - 1e-9))
            points.append(self._point(seed))
            if self._target is not None and crossing(points, self._target) is not None:
                break
        return Curve(
            "quality",
            started,
            given.world.gather_json(given.world.host),
            self._asked,
            self._shards,
            config.optimizer.scaling,
            seed,
            self._budget,
            self._per_step,
            points,
            self._floor,
            **noise.values(),
        )

    def _point(self, seed: int) -> CurvePoint:
        """Return the point of the networks as they are."""
        state = self._given.state
        counts = self._given.plan.samples.counts
        found = self._judge.score(state, self._config, counts, _LATENTS)
        if found is None:
            raise Diverged(f"seed {seed}: after step {state.step} samples are not finite", True)
        return CurvePoint(state.step * self._per_step, found)


if __name__ == "__main__":
    sys.exit(main())
