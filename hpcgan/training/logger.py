"""What a run writes about itself: metrics.jsonl, TensorBoard, samples, history.jsonl, progress.

Rank 0 alone has a ``Logger``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from hpcgan import __version__, pictures, ring
from hpcgan.config_file import to_yaml
from hpcgan.errors import RunError
from hpcgan.files import json_lines, write_whole, writing
from hpcgan.gan import scaling_rule
from hpcgan.gan.noise_scale import larger_batches, noise_scales
from hpcgan.gan.sampling import sampling_inputs
from hpcgan.gan.state import State
from hpcgan.terminal import is_watched
from hpcgan.training import history
from hpcgan.training.breakdown import StepBreakdown
from hpcgan.training.callback import Call
from hpcgan.training.lock import is_at
from hpcgan.training.plan import Plan
from hpcgan.training.result import result_line
from hpcgan.world import World

# Samples in a grid; their latents stay the same for the whole run.
_GRID = 64
# A rank lags that is this far behind the others' median, as a part of it, twice in a row.
_LAG = 0.1
_IN_RESULT = ("images_per_second", "discriminator_loss", "generator_loss")


class Logger:
    """The log of one run."""

    def __init__(
        self,
        plan: Plan,
        state: State,
        world: World,
        strategy: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the run directory and continue the log from the state's step.

        ``strategy`` describes how the shards are computed; the clock gives seconds.

        Raises:
            RunError: the run directory cannot be written.
        """
        self._plan = plan
        self._state = state
        self._clock = clock
        self._directory = plan.run_dir
        try:
            (self._directory / "samples").mkdir(parents=True, exist_ok=True)
            (self._directory / "config.yaml").write_text(to_yaml(plan.config), encoding="utf-8")
            self._wall_before = _cut(self._directory / "metrics.jsonl", state.step)
            self._metrics = (self._directory / "metrics.jsonl").open("a", encoding="utf-8")
            self._board = tf.summary.create_file_writer(
                os.fsencode(self._directory / "tensorboard")
            )
        except (OSError, tf.errors.OpError) as error:
            raise RunError(
                f"{self._directory}: the run directory cannot be written: {error}"
            ) from None
        self._hosts = world.hosts
        self._lines: list[dict[str, float]] = []  # of this start, for the result
        self._breakdowns: list[StepBreakdown] = []  # of those lines that have one
        inputs, _ = sampling_inputs(plan.config.model, plan.config.seed, 0, plan.samples.counts)
        self._inputs = tf.nest.map_structure(lambda each: each[:_GRID], inputs)
        self._progress = tqdm(
            total=plan.config.train.steps,
            initial=state.step,
            unit="step",
            dynamic_ncols=True,
            disable=bool(plan.label) or not is_watched(),
        )
        self._print(_opening(plan, world, state.step, strategy))
        self.note(
            "resumed" if plan.found else "started",
            ranks=world.size,
            version=__version__,
            **({"changes": plan.changes} if plan.found else {}),
        )
        self._start = self._line_time = self._clock()
        self._line_step = self._first_step = state.step
        self._losses: list[np.ndarray] = []
        self._skipped = 0
        self._evaluation: Mapping[str, float] = {}
        self._noise_scales = noise_scales(plan.config)

    def check_place(self) -> None:
        """End a run whose directory was moved or deleted: what it writes would be lost.

        Raises:
            RunError: metrics.jsonl is no longer the file that was opened.
        """
        path, descriptor = self._directory / "metrics.jsonl", self._metrics.fileno()
        if not is_at(path, descriptor):
            where = Path(f"/proc/self/fd/{descriptor}").readlink()
            raise RunError(
                f"{path}: was moved, deleted or replaced while the run wrote to it; it is now "
                f"{where}: put the run directory back, and the same command goes on from the "
                "newest checkpoint"
            )

    def count(self, call: Call) -> None:
        """Count a call for the next line."""
        self._losses.append(call.losses[~call.skipped])
        self._skipped += int(call.skipped.sum())
        for number, each in enumerate(self._noise_scales):
            each.add(call.squares[:, number])
        self._progress.update(call.steps)

    def log(self, breakdown: StepBreakdown | None) -> None:
        """Write a line for the steps since the last one; losses are the means of their updates.

        The ``breakdown`` is of the time since the last line that had one, if this one has.
        """
        losses = np.concatenate(self._losses)
        if not len(losses):
            return  # all were left out: the next line counts them
        means = losses.mean(axis=0, dtype=np.float64)
        now, step = self._clock(), self._state.step
        seconds = now - self._line_time
        images = (step - self._line_step) * self._plan.images_per_step
        line = {
            "step": step,
            "images": step * self._plan.images_per_step,
            "wall_seconds": round(self._wall_before + now - self._start, 3),
            "images_per_second": round(images / seconds, 1),
            "discriminator_loss": float(means[0]),
            "generator_loss": float(means[1]),
            "skipped_updates": self._skipped,
            "noise_scale_d": self._noise_scales[0].value,
            "noise_scale_g": self._noise_scales[1].value,
            **({k: round(v, 4) for k, v in breakdown._asdict().items()} if breakdown else {}),
            **({"evaluation": self._evaluation} if self._evaluation else {}),
        }
        with writing(self._directory / "metrics.jsonl"):
            self._metrics.write(json.dumps(line) + "\n")
            self._metrics.flush()
        with self._board.as_default(step=step):
            for name, value in [*list(line.items())[3:], *self._evaluation.items()]:
                if name != "evaluation" and value is not None:
                    tf.summary.scalar(name, value)
        self._board.flush()
        self._show(line, self._lag(breakdown) if breakdown else "")
        self._lines.append({key: line[key] for key in _IN_RESULT})
        if breakdown:
            self._breakdowns.append(breakdown)
        self._losses, self._skipped, self._evaluation = [], 0, {}
        self._line_time, self._line_step = now, step

    def take_evaluation(self, figures: Mapping[str, float]) -> None:
        """Write the figures of an evaluation with the next line."""
        self._evaluation = figures

    def warn(self, why: str) -> None:
        """Print that the GAN has gone wrong, and note it in the history."""
        self.note("warning", why=why)
        self._print(f"hpcgan: warning: {why} (watch.collapse)")

    def write_samples(self) -> None:
        """Write a grid of samples from the run's fixed latents."""
        samples = np.array(self._state.sampler(self._inputs, training=False))
        picture = pictures.grid(samples)
        path = self._directory / "samples" / f"step_{self._state.step:08d}.png"
        with writing(path):
            picture.save(path)
        pixels = np.atleast_3d(np.asarray(picture))[np.newaxis]
        with self._board.as_default(step=self._state.step):
            tf.summary.image("samples", pixels)

    def close(self) -> None:
        """Print how the run ended and close the files."""
        self._progress.close()
        self.note("finished")
        seconds = self._clock() - self._start
        steps = self._state.step - self._first_step
        self._print(
            f"hpcgan: finished: {steps} steps in {seconds:.1f} s, "
            f"{steps * self._plan.images_per_step / seconds:.0f} images/s with start and "
            f"checkpoints; all is in {self._directory}"
        )
        if hint := larger_batches(*self._noise_scales):
            self._print(f"hpcgan: {hint}")
        self._finish(seconds)

    def stop(self, why: str) -> None:
        """Note that the run was stopped, and close the files."""
        self._progress.close()
        self.note("stopped", why=why)
        self._finish(self._clock() - self._start)

    def _finish(self, seconds: float) -> None:
        """Print the result of this start of the run, and close the files."""
        steps = (self._first_step, self._state.step)
        images = self._plan.images_per_step
        self._print(result_line(self._hosts, images, steps, seconds, self._lines, self._breakdowns))
        self._metrics.close()
        self._board.close()

    def _lag(self, breakdown: StepBreakdown) -> str:
        """Return a remark on the slowest rank, if it lags behind and did the time before."""
        both = [*self._breakdowns[-1:], breakdown]
        rank = breakdown.slowest_rank
        if len(both) < 2 or any(
            each.slowest_rank != rank or each.slowest_rank_behind < _LAG for each in both
        ):
            return ""
        return (
            f"  rank {rank} on {self._hosts[rank]} lags: its work takes "
            f"{breakdown.slowest_rank_behind:.0%} longer than the others'"
        )

    def rewind(self, why: str) -> None:
        """Continue the log from the state's step, which has gone back to a checkpoint."""
        self._metrics.close()
        with writing(self._directory / "metrics.jsonl"):
            _cut(self._directory / "metrics.jsonl", self._state.step)
            self._metrics = (self._directory / "metrics.jsonl").open("a", encoding="utf-8")
        self._losses, self._skipped, self._evaluation = [], 0, {}
        self._line_time, self._line_step = self._clock(), self._state.step
        self._progress.n = self._state.step
        self.note("rolled back", why=why)
        self._print(
            f"hpcgan: {why}: gone back to the checkpoint of step {self._state.step}, with "
            f"{0.5**self._state.rollbacks:g} of the learning rates and other samples (rollback "
            f"{self._state.rollbacks} of {self._plan.config.watch.rollbacks})"
        )

    def note(self, event: str, **facts: Any) -> None:
        """Write a line of history.jsonl: what happened to the run, and when.

        Raises:
            RunError: it cannot be written.
        """
        history.note(self._directory, event, self._state.step, **facts)

    def _show(self, line: dict[str, Any], lag: str) -> None:
        """Show a line of metrics and what lags: in the progress bar, or as plain text."""
        losses = f"D {line['discriminator_loss']:.4f}  G {line['generator_loss']:.4f}"
        speed = f"{line['images_per_second']:.0f} images/s"
        self._progress.set_postfix_str(f"{losses}  {speed}{lag}", refresh=False)
        if self._progress.disable:
            steps = self._plan.config.train.steps
            self._print(f"step {line['step']}/{steps}  loss {losses}  {speed}{lag}")

    def _print(self, text: str) -> None:
        print("\n".join(f"{self._plan.label}{line}" for line in text.splitlines()), flush=True)


def _opening(plan: Plan, world: World, step: int, strategy: str) -> str:
    """Return the lines that open a run's log."""
    config = plan.config
    start = f"going on from {plan.found.path}, step {step}" if plan.found else "a new run"
    lines = [
        f"{config.name}: {start}, in {plan.run_dir}",
        f"{_placement(world)}; {plan.images_per_step} images per step; {config.model.name}, "
        f"{config.train.update}; {strategy}",
        f"data: {len(plan.source)} samples {plan.source.sample_shape} {plan.source.dtype} in "
        f"{plan.assignment.describe(config)}",
        *(f"data: {each}" for each in plan.remarks),
        *filter(None, [scaling_rule.told(config)]),
    ]
    return "\n".join(f"hpcgan: {line}" for line in lines)


def _placement(world: World) -> str:
    """Return in words how the ranks are placed, and how they wait for each other."""
    numbers = {"rank": world.size, "node": len(set(world.hosts)), "core": world.cores}
    ranks, nodes, cores = (f"{n} {what}" + "s" * (n > 1) for what, n in numbers.items())
    text = f"{ranks} on {nodes}, {cores} per rank"
    if world.size > 1:
        text += f" ({ring.settings()})"
    if world.shares_cores:
        text += "; warning: more ranks than cores, which take turns"
    return text


def _cut(path: Path, step: int) -> float:
    """Drop the lines after ``step``, which will be made again; return the last one's seconds.

    A run that was killed has lines for the steps after its last checkpoint, and may have half a
    line.
    """
    if not path.exists():
        return 0.0
    kept, seconds = [], 0.0
    for text, line in json_lines(path, "step", "wall_seconds"):
        if line["step"] > step:
            break
        kept.append(text)
        seconds = line["wall_seconds"]
    write_whole(path, "".join(kept).encode())
    return seconds
