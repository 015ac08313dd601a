"""``hpcgan generate``: samples of a checkpoint's generator, by one rank or many, as many as wanted.

Sample i depends on the checkpoint, the seed, the options and i alone (``generation.sampler``). Into
a directory each rank writes parts of its own (``generation.parts``), into a file rank 0 writes what
the ranks make in turn. While a chunk of samples is written a thread makes the next one, and no rank
holds more than three (``generation.producer``). Several generators may take turns
(``hpcgan.ensemble``).
"""

from __future__ import annotations

from pathlib import Path

from hpcgan import checkpoint
from hpcgan.checkpoint import Checkpoint
from hpcgan.devices import prepare_for_blocks
from hpcgan.errors import ConfigError
from hpcgan.generation import sample_file
from hpcgan.generation.form import Form, Output
from hpcgan.generation.labels_file import LabelsFile
from hpcgan.generation.producer import Producer
from hpcgan.generation.sampler import Sampler, Wanted, checked_label, sampler_of
from hpcgan.generation.write import write
from hpcgan.run_or_checkpoint import find
from hpcgan.sealed import digest_of
from hpcgan.training.stop import Request
from hpcgan.world import World

MOST = 2**40  # samples


def generate(
    world: World, path: Path, wanted: Wanted, output: Output, request: Request | None = None
) -> None:
    """Write samples of a checkpoint, or of a run's newest whole one.

    All ranks must call it.

    Args:
        world: all ranks.
        path: a checkpoint or a run directory.
        wanted: which samples.
        output: where, and how they are written.
        request: a wish to stop; None if nobody may wish it.

    Raises:
        ConfigError: an option is wrong, the path is a population's, the directory holds something
            else, or the checkpoint names functions that may not be run.
        CheckpointError: the checkpoint is missing or damaged.
        DataError: the file of labels is wrong.
        RunError: the samples cannot be written.
        Stopped: the request was made; the parts that are whole are there.
    """
    check(world, wanted, output)
    found = checkpoint.read_together(world, lambda: find(path))
    assert found
    labels = prepare(world, found, wanted, output)
    digest = world.on_root(lambda: digest_of(found.path))
    sampler = open_sampler(world, found, wanted)
    facts = {"checkpoint": digest}
    maker = Producer([sampler], labels=labels)
    write(world, maker, sampler.found, facts, wanted, output, str(found.path), request)


def check(world: World, wanted: Wanted, output: Output) -> None:
    """Refuse options that are out of bounds. All ranks must call it."""

    def refuse() -> None:
        count, seed = wanted.count, wanted.seed
        if not 1 <= count <= MOST or seed < 0:
            raise ConfigError(
                f"--count {count} --seed {seed}: count is at least 1, at most 2^40, seed at least 0"
            )
        if wanted.label is not None and wanted.draw != "turn":
            raise ConfigError(
                f"--label {wanted.label} is of all samples, so that none is to --draw"
            )
        if wanted.labels and (wanted.label is not None or wanted.draw != "turn"):
            raise ConfigError(
                f"--labels {wanted.labels} has the label of each sample: leave out --label and "
                "--draw"
            )
        output.check()

    world.all_or_raise(refuse)


def prepare(world: World, found: Checkpoint, wanted: Wanted, output: Output) -> LabelsFile | None:
    """Check what is asked of a checkpoint; return the file of labels. All ranks must call it."""
    form = Form(found, output)

    def look() -> LabelsFile | None:
        checked_label(found, wanted)
        form.check()
        sample_file.check_size(form, wanted.count)
        return LabelsFile(wanted.labels, found) if wanted.labels else None

    labels = world.all_or_raise(look)
    if labels:
        labels.check(world, wanted.count)
    return labels


def open_sampler(world: World, found: Checkpoint, wanted: Wanted) -> Sampler:
    """Return what makes the samples of a checkpoint (``read_together``). All ranks must call it.

    Raises:
        ConfigError: the networks have no such label, or their code may not be run.
        CheckpointError: the checkpoint's variables are not those of its networks.
    """
    label = world.all_or_raise(lambda: checked_label(found, wanted))
    world.all_or_raise(lambda: prepare_for_blocks(world))
    from hpcgan.gan.state import State

    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    return sampler_of(state.sampler, found, wanted, label, world.cores)
