"""What a run tells: metrics.jsonl, TensorBoard, sample grids, progress, and history.jsonl.

Rank 0 alone keeps it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from hpcgan import __version__, pictures
from hpcgan.config_file import to_yaml
from hpcgan.errors import RunError
from hpcgan.files import write_whole, writing
from hpcgan.gan.sampling import sampling_inputs
from hpcgan.gan.state import State
from hpcgan.terminal import is_watched
from hpcgan.training.plan import Plan
from hpcgan.world import World

# Samples in a grid; their latents stay the same for the whole run.
_GRID = 64


class Journal:
    """The record of one run."""

    def __init__(self, plan: Plan, state: State, world: World) -> None:
        """Make the run directory and take up the record where the state is.

        Raises:
            RunError: the run directory cannot be written.
        """
        self._plan = plan
        self._state = state
        self._directory = plan.run_dir
        try:
            (self._directory / "samples").mkdir(parents=True, exist_ok=True)
            (self._directory / "config.yaml").write_text(to_yaml(plan.config))
            before = _cut(self._directory / "metrics.jsonl", state.step)
            self._metrics = (self._directory / "metrics.jsonl").open("a")
            self._board = tf.summary.create_file_writer(str(self._directory / "tensorboard"))
        except (OSError, tf.errors.OpError) as error:
            raise RunError(
                f"{self._directory}: the run directory cannot be written: {error}"
            ) from None
        self._wall_before = before
        self._ranks = world.size
        self._rates: list[float] = []  # of this start's lines
        self._last: dict[str, Any] = {}  # of the lines
        inputs, _ = sampling_inputs(plan.config.model, plan.config.seed, 0)
        self._inputs = tf.nest.map_structure(lambda each: each[:_GRID], inputs)
        self._progress = _progress(plan.config.train.steps, state.step)
        self._say(_opening(plan, world, state.step))
        self.note(
            "resumed" if plan.found else "started",
            ranks=world.size,
            version=__version__,
            **({"changes": plan.changes} if plan.found else {}),
        )
        self._start = self._line_time = time.monotonic()
        self._line_step = self._first_step = state.step
        self._losses: list[np.ndarray] = []
        self._skipped = 0
        self._waited = 0.0

    def advance(self, losses: np.ndarray, skipped: int, waited: float) -> None:
        """Count a call of the update.

        Args:
            losses: (updates, 2), of D and G.
            skipped: updates that were left out.
            waited: seconds that it waited for its batch.
        """
        self._losses.append(losses)
        self._skipped += skipped
        self._waited += waited
        if self._progress is not None:
            self._progress.update(len(losses) + skipped)

    def log(self) -> None:
        """Write a line for the steps since the last one; losses are the means of their updates."""
        losses = np.concatenate(self._losses)
        if not len(losses):
            return  # all were left out: the next line tells of them
        means = losses.mean(axis=0, dtype=np.float64)
        now, step = time.monotonic(), self._state.step
        seconds = now - self._line_time
        images = (step - self._line_step) * self._plan.images_per_step
        line = {
            "step": step,
            "images": step * self._plan.images_per_step,
            "wall_seconds": round(self._wall_before + now - self._start, 3),
            "images_per_second": round(images / seconds, 1),
            "discriminator_loss": float(means[0]),
            "generator_loss": float(means[1]),
            "input_wait_seconds": round(self._waited, 4),
            "skipped_updates": self._skipped,
        }
        with writing(self._directory / "metrics.jsonl"):
            self._metrics.write(json.dumps(line) + "\n")
            self._metrics.flush()
        with self._board.as_default(step=step):
            for name in list(line)[3:]:
                tf.summary.scalar(name, line[name])
        self._board.flush()
        self._show(line)
        self._rates.append(line["images_per_second"])
        self._last = line
        self._losses, self._skipped, self._waited = [], 0, 0.0
        self._line_time, self._line_step = now, step

    def draw(self) -> None:
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
        """Say how the run ended and close the files."""
        if self._progress is not None:
            self._progress.close()
        self.note("finished")
        seconds = time.monotonic() - self._start
        steps = self._state.step - self._first_step
        self._say(
            f"hpcgan: finished: {steps} steps in {seconds:.1f} s, "
            f"{steps * self._plan.images_per_step / seconds:.0f} images/s with start and "
            f"checkpoints; all is in {self._directory}"
        )
        if self._rates:
            self._say(self._result(seconds))
        self._metrics.close()
        self._board.close()

    def _result(self, seconds: float) -> str:
        """Return the line that scripts look for, of this start of the run.

        Its images a second are the median of the lines of metrics but the first, in which the
        update is compiled.
        """
        rate, last = statistics.median(self._rates[1:] or self._rates), self._last
        return (
            f"hpcgan-result: images_per_second={rate:.1f} "
            f"ranks={self._ranks} images_per_step={self._plan.images_per_step} "
            f"steps={self._state.step - self._first_step} last_step={self._state.step} "
            f"seconds={seconds:.1f} discriminator_loss={last['discriminator_loss']:.6g} "
            f"generator_loss={last['generator_loss']:.6g}"
        )

    def rewind(self, why: str) -> None:
        """Take up the record where the state is again, which has gone back to a checkpoint."""
        self._metrics.close()
        with writing(self._directory / "metrics.jsonl"):
            _cut(self._directory / "metrics.jsonl", self._state.step)
            self._metrics = (self._directory / "metrics.jsonl").open("a")
        self._losses, self._skipped, self._waited = [], 0, 0.0
        self._line_time, self._line_step = time.monotonic(), self._state.step
        if self._progress is not None:
            self._progress.n = self._state.step
        self.note("rolled back", why=why)
        self._say(
            f"hpcgan: {why}: gone back to the checkpoint of step {self._state.step}, with "
            f"{0.5**self._state.rollbacks:g} of the learning rates and other samples (rollback "
            f"{self._state.rollbacks} of {self._plan.config.watch.rollbacks})"
        )

    def note(self, event: str, **facts: Any) -> None:
        """Write a line of history.jsonl: what happened to the run, and when.

        Raises:
            RunError: it cannot be written.
        """
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        line = {"time": when, "event": event, "step": self._state.step, **facts}
        path = self._directory / "history.jsonl"
        with writing(path), path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _show(self, line: dict[str, Any]) -> None:
        """Show a line of metrics: in the progress bar, or as plain text."""
        losses = f"D {line['discriminator_loss']:.4f}  G {line['generator_loss']:.4f}"
        speed = f"{line['images_per_second']:.0f} images/s"
        if self._progress is not None:
            self._progress.set_postfix_str(f"{losses}  {speed}", refresh=False)
        else:
            steps = self._plan.config.train.steps
            self._say(f"step {line['step']}/{steps}  loss {losses}  {speed}")

    @staticmethod
    def _say(text: str) -> None:
        print(text, flush=True)


def _opening(plan: Plan, world: World, step: int) -> str:
    """Return the lines that open a run's log."""
    config = plan.config
    start = f"going on from {plan.found.path}, step {step}" if plan.found else "a new run"
    return (
        f"hpcgan: {config.name}: {start}, in {plan.run_dir}\n"
        f"hpcgan: {world.size} ranks, {world.cores} cores a rank; {plan.images_per_step} images a "
        f"step; {config.model.name}, {config.train.update}\n"
        f"hpcgan: data: {len(plan.source)} samples {plan.source.sample_shape} "
        f"{plan.source.dtype} in {plan.division.describe(config)}"
    )


def _cut(path: Path, step: int) -> float:
    """Drop the lines after ``step``, which will be made again; return the last one's seconds.

    A run that was killed has lines for the steps after its last checkpoint, and may have half a
    line.
    """
    if not path.exists():
        return 0.0
    kept, seconds = [], 0.0
    for text in path.read_text().splitlines(keepends=True):
        try:
            line = json.loads(text)
            at, wall = line["step"], line["wall_seconds"]
        except (ValueError, KeyError, TypeError):
            break
        if at > step or not text.endswith("\n"):
            break
        kept.append(text)
        seconds = wall
    write_whole(path, "".join(kept).encode())
    return seconds


def _progress(steps: int, done: int) -> Any:
    """Return a progress bar when someone looks on, else None."""
    if not is_watched():
        return None
    return tqdm(total=steps, initial=done, unit="step", dynamic_ncols=True, file=sys.stderr)
