"""All that is decided and checked before a run starts.

Nothing here needs TensorFlow, so a mistake in the configuration or the data is told within a
second, before any rank has begun the long start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hpcgan import checkpoint
from hpcgan.checkpoint import Checkpoint
from hpcgan.checkpoint_content import MOST_TEXT
from hpcgan.config import KEYS, Config
from hpcgan.config_checks import wrong_scaling
from hpcgan.config_file import differences, from_yaml, load, to_yaml
from hpcgan.config_keys import OnResume
from hpcgan.data.assignment import ShardAssignment, assign_shards
from hpcgan.data.fingerprint import fingerprints
from hpcgan.data.held_out import open_held_out
from hpcgan.data.sample_info import MOST_COUNTED, SampleInfo
from hpcgan.data.source import Source, open_source
from hpcgan.errors import CheckpointError, ConfigError
from hpcgan.files import expanded
from hpcgan.training import resolving
from hpcgan.world import World

_NAMED = 3  # of many files that have changed


@dataclass(frozen=True)
class Plan:
    """A run that can start.

    Attributes:
        config: with all that was open in its data section decided.
        source: the data.
        run_dir: where the run writes.
        found: the checkpoint to go on from, or None.
        assignment: of the data to shards, and of these to ranks.
        fingerprints: of the data files.
        samples: how they were mapped, and their classes.
        held_out: samples that are not trained on, for evaluations, or None.
        ranks: of the run.
        label: with which its lines begin, if there are several runs at once.
    """

    config: Config
    source: Source
    run_dir: Path
    found: Checkpoint | None
    assignment: ShardAssignment
    fingerprints: tuple[str, ...]
    samples: SampleInfo
    held_out: Source | None = None
    ranks: int = 1
    label: str = ""

    @property
    def checkpoints(self) -> Path:
        """Where the run's checkpoints are."""
        return self.run_dir / "checkpoints"

    @property
    def data(self) -> str:
        """What of the data decides in which order the samples are used."""
        data = self.config.data
        return self.source.identity(bool(data.align) or data.shuffle == "chunks")

    @property
    def changes(self) -> list[str]:
        """What differs from the checkpoint: keys, as "key: old -> new", and files of the data."""
        if self.found is None:
            return []
        return [*differences(self.found.config, self.config).values(), *self.changed_data]

    @property
    def changed_data(self) -> list[str]:
        """Which data files are others than the checkpoint's, in words; nothing if none is."""
        before = self.found.fingerprints if self.found else ()
        if not before:  # it is from before they were kept
            return []
        now = self.fingerprints
        if len(before) != len(now):
            return [f"data.files: {len(before)} files -> {len(now)}"]
        pairs = zip(self.source.files, before, now, strict=False)
        names = [file for file, old, new in pairs if old != new]
        if not names:
            return []
        rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return [f"data.files: other content in {', '.join(names[:_NAMED])}{rest}"]

    @property
    def remarks(self) -> list[str]:
        """What is to be known of the data before the run, a line each."""
        classes = self.config.model.classes if len(self.assignment.class_counts) else None
        lines = [self.samples.empty_classes()]
        if classes and not self.samples.counts:
            lines.append(
                f"there are {classes} classes, and checkpoints keep which of them have samples for "
                f"{MOST_COUNTED} at most: generate draws all of them"
            )
        if self.source.classes is None:
            lines.append(
                "the names of the classes have more than 64 KiB, and checkpoints do not keep them"
            )
        return list(filter(None, lines))

    @property
    def images_per_step(self) -> int:
        """Real samples that all shards use at a step."""
        train = self.config.train
        assert self.config.data.shards is not None
        return train.batch_size * train.discriminator_steps * self.config.data.shards

    @property
    def is_finished(self) -> bool:
        """Whether the checkpoint has all the steps already."""
        return self.found is not None and self.found.step >= self.config.train.steps


def prepare(
    world: World,
    path: str,
    overrides: list[str],
    run_dir: Path | None,
    resume: str,
    allow_change: bool = False,
) -> Plan:
    """Check everything at once, for those who write to no run directory. All ranks must call it.

    A run that writes holds its directory in between (``directory.held``). The arguments and errors
    are those of ``configure`` and ``decide``.
    """
    return decide(world, *configure(world, path, overrides, run_dir), resume, allow_change)


def configure(
    world: World, path: str, overrides: list[str], run_dir: Path | None
) -> tuple[Config, Path]:
    """Return the configuration, and where its run writes: ``run_dir``, or runs/NAME.

    All ranks must call it. Rank 0 reads the YAML file ``path``; words of the command line,
    ``--section.key VALUE``, override it.

    Raises:
        ConfigError: the configuration is wrong; the same on all ranks.
    """
    config = from_yaml(world.on_root(lambda: to_yaml(load(path, overrides))), path)
    return config, run_dir or Path("runs") / config.name


def decide(
    world: World,
    config: Config,
    run_dir: Path,
    resume: str,
    allow_change: bool = False,
    rounds: int | None = None,
    like: Plan | None = None,
) -> Plan:
    """Check everything and decide where the run starts. All ranks must call it.

    Args:
        world: the ranks.
        config: of the run.
        run_dir: where the run writes; nothing is written here.
        resume: auto (the newest whole checkpoint of the run directory, if any), never, or the
            path of a checkpoint.
        allow_change: whether the run may go on with other learning rates or data files.
        rounds: tournaments after which no checkpoint counts.
        like: the plan of another member of a population, with the same data: what is known of
            them is taken from it.

    Raises:
        UserError: something is wrong; the same on all ranks.
    """
    if config.parallel.population > 1:
        raise ConfigError(
            f"parallel.population is {config.parallel.population}: hpcgan train alone trains "
            "several GANs at once",
            on_all_ranks=True,
        )
    found = checkpoint.read_together(world, lambda: _choose(run_dir, resume, rounds))
    if like:
        config = replace(config, data=like.config.data, model=like.config.model)
        plan = replace(like, config=config, run_dir=run_dir, found=found)
    else:
        plan = _decide_data(world, config, run_dir, found)
    world.all_or_raise(lambda: _check(plan))
    world.all_or_raise(lambda: _check_same_run(plan, allow_change))
    return resolving.with_own_values(plan)


def _decide_data(world: World, config: Config, run_dir: Path, found: Checkpoint | None) -> Plan:
    """Return the plan of a run that goes on from ``found``. All ranks must call it."""
    source = open_source(world, config.data)
    config = resolving.with_shards(config, found, world.size)
    config = resolving.with_generator_ranks(config, found, world.size)
    earlier = found.config.data if found else None
    config, assignment = assign_shards(world, config, source, earlier)
    config = world.all_or_raise(lambda: resolving.with_labels(config, assignment, found))
    config = resolving.with_swaps(config, len(source), found)
    samples = _samples(config, source, assignment)
    files = config.evaluate.held_out
    held_out = open_held_out(world, config, files, "evaluate.held_out", source) if files else None
    marks = fingerprints(world, source)
    return Plan(config, source, run_dir, found, assignment, marks, samples, held_out, world.size)


def _choose(run_dir: Path, resume: str, rounds: int | None) -> Checkpoint | None:
    """Return the checkpoint to go on from."""
    if resume == "never":
        return None
    checkpoints = run_dir / "checkpoints"
    if resume != "auto":
        return checkpoint.read(Path(expanded(resume)))
    found, warnings = checkpoint.newest(checkpoints, rounds)
    for warning in warnings:
        print(f"hpcgan: warning: {warning}", flush=True)
    if warnings and found is None:
        raise CheckpointError(
            f"{run_dir}: none of its checkpoints is whole; --resume never starts again"
        )
    return found


def _samples(config: Config, source: Source, assignment: ShardAssignment) -> SampleInfo:
    """Return what the checkpoints keep of the samples."""
    found = assignment.class_counts
    if not len(found):
        return SampleInfo(source.values)
    assert config.model.classes is not None
    counts = np.pad(found, (0, config.model.classes - len(found)))
    kept = tuple(counts.tolist()) if len(counts) <= MOST_COUNTED else ()
    return SampleInfo(source.values, source.classes or (), kept)


def _check(plan: Plan) -> None:
    """Refuse a config too long for a checkpoint, and to augment what has no height and width."""
    length = len(to_yaml(plan.config).encode())
    if length > MOST_TEXT:
        raise ConfigError(
            f"the configuration has {length} bytes, and a checkpoint holds {MOST_TEXT}; name the "
            f"{len(plan.config.data.files)} data.files by patterns, such as part-*.h5"
        )
    for wrong in wrong_scaling(plan.config):  # by the number of shards, which was open before
        raise ConfigError(wrong)
    augment, shape = plan.config.train.augment, plan.source.sample_shape
    if augment and len(shape) != 3:
        raise ConfigError(
            f"train.augment is {augment}, which is for samples (H, W, C), but the data's are "
            f"{shape}; leave it out"
        )


def _check_same_run(plan: Plan, allow_change: bool) -> None:
    """Refuse to go on with another model, loss, optimizer, data or seed."""
    found = plan.found
    if found is None:
        return
    changed, changeable = _changed_keys(found.config, plan.config)
    changeable += plan.changed_data
    if found.data != plan.data:
        changed.append(f"data: {found.data} -> {plan.data}")
    if found.samples.values != plan.samples.values:
        changed.append(
            f"the samples' values are mapped by: {found.samples.values or 'nothing'} -> "
            f"{plan.samples.values or 'nothing'}"
        )
    if found.sample_shape != plan.source.sample_shape or found.dtype != plan.source.dtype:
        changed.append(
            f"samples: {found.sample_shape} {found.dtype} -> "
            f"{plan.source.sample_shape} {plan.source.dtype}"
        )
    _refuse(str(found.path), changed, [] if allow_change else changeable)


def check_same(origin: str, before: Config, now: Config, allow_change: bool) -> None:
    """Refuse to go on with another configuration than ``before``, which is of ``origin``."""
    changed, changeable = _changed_keys(before, now)
    _refuse(origin, changed, [] if allow_change else changeable)


def _refuse(origin: str, changed: list[str], changeable: list[str]) -> None:
    """Refuse what has changed; what is changeable alone may be allowed."""
    hint = "" if changed else ", or --allow-change"
    if changed or changeable:
        raise ConfigError(
            f"{origin} is of a run with another configuration "
            f"({'; '.join([*changed, *changeable])}); choose another --run-dir, or --resume never "
            f"to start again{hint}"
        )


def _changed_keys(before: Config, now: Config) -> tuple[list[str], list[str]]:
    """Return what makes another run, and what may change if that is asked for, in words."""
    changed, changeable = [], []
    for key, text in differences(before, now).items():
        sets_decay = key == "train.steps" and now.optimizer.decay != "none"
        if sets_decay:  # the rate, which follows the number of all steps, would jump
            changeable.append(f"{text}, which optimizer.decay follows")
        elif KEYS[key].on_resume is OnResume.ALLOW_CHANGE:
            changeable.append(text)
        elif KEYS[key].on_resume is OnResume.FIXED:
            changed.append(text)
    if before.staleness != now.staleness:  # whatever null stands for
        changed.append(f"train.staleness: {before.staleness} -> {now.staleness}")
    return changed, changeable
