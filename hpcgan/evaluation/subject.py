"""What is evaluated, and the data beside which it stands: found, and checked before it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcgan import checkpoint, population_commit
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import DataConfig
from hpcgan.data.source import Source, open_source
from hpcgan.errors import CheckpointError, ConfigError, DataError
from hpcgan.files import check_is_file
from hpcgan.world import World


@dataclass(frozen=True)
class Named:
    """What the command line names.

    Attributes:
        path: a run directory, a checkpoint, or a file of samples.
        which: of a run directory's checkpoints: best, newest or a step.
        real: files or patterns; none for those of the run.
        held_out: files or patterns of real samples that the networks have not seen; may be none.
        images: the dataset of the samples; None for the run's, or images.
        labels: the dataset of the labels; None for the run's, or none.
    """

    path: Path
    which: str | None = None
    real: Sequence[str] = ()
    held_out: Sequence[str] = ()
    images: str | None = None
    labels: str | None = None


@dataclass(frozen=True)
class Subject:
    """What is evaluated, and the data.

    Attributes:
        found: the checkpoint, or None.
        source: the file of samples, or None.
        real: real samples; of a checkpoint, those that it was trained on.
        held_out: real samples that the networks have not seen, or None.
    """

    found: Checkpoint | None
    source: Source | None
    real: Source
    held_out: Source | None

    @property
    def name(self) -> str:
        """The path of what is evaluated."""
        if self.found:
            return str(self.found.path)
        assert self.source is not None
        return self.source.files[0]


def open_subject(world: World, named: Named) -> Subject:
    """Look at the headers of all that is named. All ranks must call it.

    Raises:
        UserError: something is missing or damaged, or cannot be compared; the same on all ranks.
    """
    is_run = world.on_root(lambda: _is_directory(named.path))
    if named.which and not is_run:
        world.all_or_raise(lambda: _refuse_choice(named))
    found = checkpoint.read_together(world, lambda: find_checkpoint(named.path, named.which))
    real, held_out, source = (
        open_source(world, DataConfig(list(files), *_datasets(named, found))) if files else None
        for files in (
            named.real or (found.config.data.files if found else ()),
            named.held_out,
            () if found else (str(named.path),),
        )
    )
    if real is None:
        raise ConfigError(
            f"{named.path}: is a file of samples; name real ones, with --real", on_all_ranks=True
        )
    subject = Subject(found, source, real, held_out)
    world.all_or_raise(lambda: _check(subject))
    return subject


def _is_directory(path: Path) -> bool:
    """Return whether it is one; of what one may not look at, ``check_is_file`` says so."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _refuse_choice(named: Named) -> None:
    check_is_file(named.path, "run, checkpoint or file of samples", DataError)
    raise ConfigError(f"--checkpoint {named.which} is for a run directory, not {named.path}")


def find_checkpoint(path: Path, which: str | None = None) -> Checkpoint | None:
    """Return the checkpoint that a path is, or one of a run directory; None for another file.

    Raises:
        CheckpointError, DataError: there is none, or it is damaged.
        ConfigError: the directory is a population's.
    """
    if not _is_directory(path):
        check_is_file(path, "run, checkpoint or file of samples", DataError)
        return checkpoint.read(path) if checkpoint.is_one(path) else None
    if population_commit.path_of(path).exists():
        raise ConfigError(
            f"{path}: is a population's; name a member, {path / 'member_0'} say, or a file of "
            "samples of all (hpcgan generate --ensemble)"
        )
    directory = path / "checkpoints"
    if which in (None, "newest"):
        found, _ = checkpoint.newest(directory)
        if found is None:
            raise CheckpointError(f"{path}: there is no whole checkpoint")
        return found
    assert which is not None
    if which == "best":
        return checkpoint.read(checkpoint.best_path(directory))
    return checkpoint.read(checkpoint.path_of(directory, int(which)))


def _datasets(named: Named, found: Checkpoint | None) -> tuple[str, str | None]:
    """Return the names of the datasets of samples and labels; the latter None if G has none."""
    if found is None:
        return named.images or "images", named.labels
    data = found.config.data
    has_labels = found.config.model.condition != "none"
    return named.images or data.images, (named.labels or data.labels) if has_labels else None


def _check(subject: Subject) -> None:
    """Refuse samples that cannot be compared with the real ones."""
    real, found = subject.real, subject.found
    kinds = [(each.files[0], each.kind) for each in (subject.source, subject.held_out) if each]
    if found:
        kinds.append((str(found.path), (found.sample_shape, found.dtype, found.samples.values)))
    for name, kind in kinds:
        _check_alike(name, kind, real.files[0], real.kind)


# Shape and dtype of a sample, and how its values were mapped.
_Kind = tuple[tuple[int, ...], str, str]


def _check_alike(name: str, kind: _Kind, real: str, of_real: _Kind) -> None:
    """Refuse samples of another kind than the real ones."""
    (shape, dtype, values), (real_shape, real_dtype, real_values) = kind, of_real
    if (shape, dtype) != (real_shape, real_dtype):
        raise DataError(
            f"{real}: holds {real_dtype} samples of shape {real_shape}, but those of {name} are "
            f"{dtype} of shape {shape}; they cannot be compared"
        )
    if values != real_values:
        raise DataError(
            f"{real}: its values were mapped by {real_values or 'nothing'}, and those of {name} by "
            f"{values or 'nothing'} (attribute 'values'): they cannot be compared; hpcgan generate "
            "writes samples in the units of their source, a run compares them as it was trained"
        )
