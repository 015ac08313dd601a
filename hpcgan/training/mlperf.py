"""A log in the format of MLPerf, for tools that read such logs: ``log.mlperf: true``.

Rank 0 writes RUN_DIR/mlperf_STEP.log, a file a start, with the package mlperf-logging, by the rules
that MLPerf HPC 3.0 has for its open division. These know four benchmarks, none of them a GAN, and
the target of each. The log goes by the name of CosmoFlow, whose quality is a mean absolute error as
ours is: that of the mean sample. It is no result of CosmoFlow, and says so. The checker accepts the
log of a run that ended and whose error once was below that benchmark's target, 0.124.

https://github.com/mlcommons/training_policies/blob/master/hpc_training_rules.adoc
"""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from hpcgan.files import writing
from hpcgan.gan.sampling import sampling_inputs
from hpcgan.gan.state import State
from hpcgan.training.plan import Plan
from hpcgan.world import World

_ROOT = str(Path(__file__).parents[2])


class MlperfLog:
    """The log of one start of a run; rank 0 alone has it.

    All methods raise a ``RunError`` if the log cannot be written.
    """

    def __init__(self, plan: Plan, state: State, world: World) -> None:
        """Tell what is run, and that its initialisation began when this process did."""
        from mlperf_logging.mllog import constants, mllog

        self._plan = plan
        self._state = state
        self._keys = constants
        self._path = plan.run_dir / f"mlperf_{state.step:08d}.log"
        with writing(self._path):
            handler = _Handler(self._path, mode="w")
            logger = logging.Logger("hpcgan.mlperf")
            logger.addHandler(handler)
            self._log = mllog.MLLogger(logger, root_dir=re.escape(_ROOT))
            self._introduce(world)

    def _introduce(self, world: World) -> None:
        keys, log, config = self._keys, self._log, self._plan.config
        hosts = len(set(world.hosts))
        about = {"application": "hpcgan", "note": "not CosmoFlow: a GAN has no name in the rules"}
        log.event(keys.SUBMISSION_BENCHMARK, "cosmoflow", about)
        log.event(keys.SUBMISSION_ORG, "hpcgan")
        log.event(keys.SUBMISSION_DIVISION, "open")
        log.event(keys.SUBMISSION_STATUS, "research")
        log.event(keys.SUBMISSION_PLATFORM, f"{world.size} ranks on {hosts} hosts")
        log.event(keys.CACHE_CLEAR, False)  # it takes root
        log.start(keys.INIT_START, time_ms=int(1e3 * _process_start()))
        log.event(keys.SEED, config.seed)
        log.event(keys.GLOBAL_BATCH_SIZE, self._plan.images_per_step)
        log.event("train_samples", len(self._plan.source))
        log.event("number_of_nodes", hosts)
        log.event("number_of_ranks", world.size)

    def start(self) -> None:
        """Tell that training begins."""
        self._inputs, _ = sampling_inputs(self._plan.config.model, self._plan.config.seed, 0)
        with writing(self._path):
            self._log.event("eval_samples", len(tf.nest.flatten(self._inputs)[0]))
            self._log.end(self._keys.INIT_STOP)
            self._log.start(self._keys.RUN_START)
            self._begin_block()

    def evaluate(self, real: tf.Tensor) -> None:
        """Tell how well the generator does, and begin the next block of steps.

        Args:
            real: samples of the data, (..., *sample_shape), as they are there.
        """
        about = {"epoch_num": self._epochs(self._state.step)}
        with writing(self._path):
            self._end_block()
            self._log.start(self._keys.EVAL_START, metadata=about)
        made = np.array(self._state.sampler(self._inputs, training=False), np.float64)
        error = mean_sample_error(made, np.array(real))
        with writing(self._path):
            self._log.event("eval_error", error, about)
            self._log.end(self._keys.EVAL_STOP, metadata=about)
            self._begin_block()

    def finish(self, status: str) -> None:
        """Tell that the run ended, with ``status`` success or aborted, and close the log."""
        with writing(self._path):
            self._end_block()
            self._log.end(self._keys.RUN_STOP, metadata={"status": status})
            for handler in self._log.logger.handlers:
                handler.close()

    def _begin_block(self) -> None:
        """Begin the steps up to the next evaluation, or to the end."""
        log, config = self._plan.config.log, self._plan.config
        period = log.samples_every_steps or config.checkpoint.every_steps or config.train.steps
        self._block = {
            "first_epoch_num": self._epochs(self._state.step),
            "epoch_count": self._epochs(period),
        }
        self._log.start(self._keys.BLOCK_START, metadata=self._block)

    def _end_block(self) -> None:
        self._log.end(self._keys.BLOCK_STOP, metadata=self._block)

    def _epochs(self, steps: int) -> float:
        """Return how often all samples are used in so many steps."""
        return steps * self._plan.images_per_step / len(self._plan.source)


class _Handler(logging.FileHandler):
    """A log that raises what goes wrong, where logging would print it and go on."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise


def mean_sample_error(made: np.ndarray, real: np.ndarray) -> float:
    """Return how far the mean of made samples is from that of real ones, at a pixel in the mean.

    Args:
        made: (number, *sample_shape), as the generator gives them: in [-1, 1], or in the data's own
            units where these are float32.
        real: (..., *sample_shape), uint8 or float32.
    """
    shape = made.shape[1:]
    flat = real.reshape(-1, *shape).astype(np.float64)
    scaled = flat / 127.5 - 1.0 if real.dtype == np.uint8 else flat
    return float(np.abs(made.mean(axis=0) - scaled.mean(axis=0)).mean())


def _process_start() -> float:
    """Return when this process began, in seconds since 1970 (proc(5), field 22 of stat)."""
    after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    since_boot = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
