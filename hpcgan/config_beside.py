"""The sections of the configuration that do not define what is trained (``config``): checkpoints,
what ends a run, what is watched for, evaluations and the log. All may change on resuming."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from hpcgan.config_keys import Bounds


@dataclass(frozen=True)
class CheckpointConfig:
    """The checkpoints.

    Args:
        every_steps: steps between two checkpoints; null for not by steps. The first and last step
            have one in any case.
        every_minutes: minutes between two checkpoints; null for not by time; auto for what loses
            the least time, by their cost and mtbf_hours (Young, 1974; Daly, 2006).
        mtbf_hours: mean time between two failures of the machine, for every_minutes auto.
        keep: number of the newest checkpoints that are kept; older ones are deleted.
        keep_every: checkpoints of steps that are multiples of it are never deleted; null for none.
        failures: failed attempts in a row to write a checkpoint after which the run ends.
    """

    every_steps: Annotated[int | None, Bounds(at_least=1)] = 500
    every_minutes: Annotated[float | Literal["auto"] | None, Bounds(greater_than=0)] = None
    mtbf_hours: Annotated[float, Bounds(greater_than=0)] = 24.0
    keep: Annotated[int, Bounds(at_least=1)] = 3
    keep_every: Annotated[int | None, Bounds(at_least=1)] = None
    failures: Annotated[int, Bounds(at_least=1)] = 3


@dataclass(frozen=True)
class RunConfig:
    """What ends a run before its last step.

    Args:
        time_limit: minutes after which the run writes a checkpoint and stops with status 85, to be
            resumed; null for none. The end of a Slurm job stops it in the same way.
        stall_seconds: time in which each rank must make progress, or the run ends; longer than a
            step, the first one's compilation or a checkpoint take.
        restarts: how often a run that failed is started again from its newest checkpoint; under
            mpirun on one machine.
    """

    time_limit: Annotated[float | None, Bounds(greater_than=0)] = None
    stall_seconds: Annotated[float, Bounds(at_least=5)] = 1800.0
    restarts: Annotated[int, Bounds(at_least=0, at_most=10_000)] = 0


@dataclass(frozen=True)
class WatchConfig:
    """What is watched for: numbers that are not finite, ranks whose networks differ, a GAN that no
    longer learns.

    Args:
        nonfinite: what happens when losses or gradients are not finite: stop (the run ends), skip
            (the update is left out), or rollback (the run resumes from the newest checkpoint with
            half the learning rates and with samples and noise that come after those that it has
            used). With mixed_float16 up to skips such updates in a row are left out first.
        skips: most updates in a row that may be left out.
        rollbacks: most rollbacks of a run.
        drift_steps: steps between two comparisons of the ranks' networks; null for none.
        collapse: what happens when two evaluations in a row show that the GAN has collapsed, that
            one network has won, or that it diverges (docs/evaluation.md): warn, rollback (to the
            best checkpoint, within rollbacks, as with nonfinite), stop (a checkpoint, and status
            1), or null for nothing.
    """

    nonfinite: Literal["stop", "skip", "rollback"] = "stop"
    skips: Annotated[int, Bounds(at_least=0)] = 10
    rollbacks: Annotated[int, Bounds(at_least=0)] = 3
    drift_steps: Annotated[int | None, Bounds(at_least=1)] = 1000
    collapse: Literal["warn", "rollback", "stop"] | None = "warn"


@dataclass(frozen=True)
class EvaluateConfig:
    """The evaluations while training: figures of generated samples beside those of real ones.

    Args:
        every_steps: steps between two; null for none; auto for those between two checkpoints, where
            an evaluation is left out that would bring their time above budget. With a number none
            is left out.
        samples: generated ones in an evaluation, and as many of the data.
        budget: largest part of the run's time that evaluations may take, with auto.
        best: the figure by which checkpoints/best.h5 is chosen.
        held_out: data files that are not trained on, by which is seen whether the discriminator
            knows those that are by heart.
    """

    every_steps: Annotated[int | Literal["auto"] | None, Bounds(at_least=1)] = "auto"
    samples: Annotated[int, Bounds(at_least=12, at_most=1_000_000)] = 2048
    budget: Annotated[float, Bounds(greater_than=0, at_most=1)] = 0.02
    best: Literal["frechet", "kernel", "recall", "coverage", "diversity"] = "frechet"
    held_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LogConfig:
    """The logs.

    Args:
        every_steps: steps between two lines of metrics.
        samples_every_steps: steps between two sample grids; null for checkpoint.every_steps.
    """

    every_steps: Annotated[int, Bounds(at_least=1)] = 50
    samples_every_steps: Annotated[int | None, Bounds(at_least=1)] = None
