"""From what makes samples to files: a directory of parts, or one file, by all ranks.

Into a directory each rank writes parts by itself; that one has failed or is asked to stop, the
others hear at their next chunk. A single file is written by rank 0.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from hpcgan import __version__
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import ConfigError, RunError, Stopped, UserError
from hpcgan.files import writing
from hpcgan.generation import parts, sample_file, seal
from hpcgan.generation.form import Form, Output
from hpcgan.generation.parts import Parts
from hpcgan.generation.producer import Block, Producer, ahead, chunks
from hpcgan.generation.progress import Progress
from hpcgan.generation.sampler import Wanted
from hpcgan.group import Alarm
from hpcgan.packages import version_of
from hpcgan.sealed import digest_of
from hpcgan.training import requeues
from hpcgan.training.lock import only_run
from hpcgan.training.stop import Request
from hpcgan.world import World

_PART_BYTES = 2**28
_STARTS_IN_VAIN = 3  # of a job that goes back into the queue


def write(
    world: World,
    producer: Producer,
    found: Checkpoint,
    facts: dict[str, Any],
    wanted: Wanted,
    output: Output,
    origin: str,
    request: Request | None,
) -> None:
    """Make samples and write them. All ranks must call it.

    Args:
        world: all ranks.
        producer: makes them.
        found: a checkpoint of such samples, without arrays.
        facts: which networks make them, for the fingerprint.
        wanted: which samples.
        output: where, and how they are written.
        origin: whose samples they are, for a line to print.
        request: a wish to stop; None if nobody may wish it.

    Raises:
        As ``generate.generate``.
    """
    form = Form(found, output)
    request = request or Request(None, {})
    began = time.monotonic()
    if output.is_directory:
        size = output.part_size or _part_size(form)
        text = world.on_root(lambda: parts.fingerprint(facts | _facts(form, wanted, size)))
        them = Parts(output.path, form, wanted.count, size, text)
        world.on_root(them.refuse_foreign)
        with only_run(world, output.path, leaves_file=False):
            made = _write_parts(world, producer, them, request)
    else:
        made = wanted.count
        _write_file(world, producer, form, wanted.count, request)
    if world.is_root:
        seconds = time.monotonic() - began
        print(f"{wanted.count} samples of {origin} in {output.path}")
        print(
            f"hpcgan-result: samples_per_second={made / seconds:.1f} ranks={world.size} "
            f"hosts={len(set(world.hosts))} samples={made} kept={wanted.count - made} "
            f"seconds={seconds:.1f}",
            flush=True,
        )


def _part_size(form: Form) -> int:
    """Return the samples of a part of about 256 MiB: whole chunks of most samples' files."""
    return max(256, 2 ** ((_PART_BYTES // form.sample_bytes).bit_length() - 1))


def _facts(form: Form, wanted: Wanted, size: int) -> dict[str, Any]:
    """Return what the bytes of parts depend on, besides the networks."""
    one, output = form.one, form.output
    return {
        "seed": wanted.seed,
        "count": wanted.count,
        "part size": size,
        "label": wanted.label,
        "labels": digest_of(wanted.labels) if wanted.labels else None,
        "draw": wanted.draw,
        "dtype": next(iter(one.values())).dtype.name,
        "layout": output.layout or "hpcgan",
        "values": form.found.samples.values,
        "threshold": output.threshold,
        "compression": output.compression,
        "hpcgan": __version__,
        "tensorflow": version_of("tensorflow"),
    }


def _write_parts(world: World, producer: Producer, them: Parts, request: Request) -> int:
    """Write the parts that are not there. All ranks must call it.

    Returns:
        How many samples were made, by all ranks.
    """
    there = set(world.on_root(them.prepare))
    damaged = _damaged(world, them, sorted(there))
    missing = [part for part in range(len(them)) if part not in there or part in damaged]
    if missing:
        world.on_root(them.begin)
    if world.is_root and not there and (said := them.told(world.size)):
        print(f"hpcgan: {said}", flush=True)
    made = _write_own(world, producer, them, missing[world.rank :: world.size], request)
    _agree_on_end(world, them, request, sum(len(them.samples(part)) for part in missing), made)
    world.on_root(them.write_index)
    return made


def _damaged(world: World, them: Parts, there: list[int]) -> list[int]:
    """Return which parts are no longer as they were written. All ranks must call it."""
    own = there[world.rank :: world.size]
    found = world.all_or_raise(
        lambda: [part for part in own if not seal.is_whole(them.path(part), them.fingerprint)]
    )
    damaged = sorted(part for each in world.gather_json(found) for part in each)
    if world.is_root and damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        print(f"hpcgan: {them.path(damaged[0])}{more}: damaged since, made again", flush=True)
    return damaged


def _write_own(
    world: World, producer: Producer, them: Parts, own: list[int], request: Request
) -> int:
    """Write this rank's parts, until it or another is to stop. All ranks must call it.

    Returns:
        How many samples all ranks made.

    Raises:
        UserError: a rank could not write; all others have stopped, too.
    """
    alarm = Alarm(world)
    writer = _PartWriter(world, producer, them, own)
    failure: UserError | None = None
    try:
        writer.write(lambda: request.is_made() or alarm.is_heard())
    except UserError as error:
        failure = error
    if failure or writer.is_interrupted:
        alarm.sound()
    world.wait_asleep()  # others may be at work for a long time yet, if none has failed
    alarm.settle()
    world.all_or_raise(lambda: _raise(failure))
    return sum(world.gather_json(writer.made))


class _Interrupted(Exception):
    """A part is not to be finished."""


class _PartWriter:
    """Writes some parts; needs no other rank.

    Attributes:
        made: samples of the parts that are whole.
        is_interrupted: whether it was stopped before all were.
    """

    def __init__(self, world: World, producer: Producer, them: Parts, own: list[int]) -> None:
        self._them, self._own = them, own
        shape, cores = them.form.found.sample_shape, world.cores
        each = (chunk for part in own for chunk in chunks(them.samples(part), shape, cores))
        # A thread makes the chunks of all parts, so that none waits while a part is finished.
        self._blocks = ahead(producer.make, each)
        whose = f" of rank 0 of {world.size}" if world.size > 1 else ""
        total = sum(len(them.samples(part)) for part in own)
        self._progress = Progress(total, whose, world.is_root)
        self.made = 0
        self.is_interrupted = False

    def write(self, is_to_stop: Callable[[], bool]) -> None:
        """Write the parts, one after the other.

        Raises:
            UserError: one cannot be written.
        """
        them = self._them
        try:
            for part in self._own:
                count = len(them.samples(part))
                blocks = self._some(count, is_to_stop)
                sample_file.write(them.path(part), them.form, count, blocks, them.fingerprint)
                self.made += count
        except _Interrupted:
            self.is_interrupted = True
        finally:
            self._blocks.close()
            self._progress.close()

    def _some(self, samples: int, is_to_stop: Callable[[], bool]) -> Iterator[Block]:
        """Yield the blocks of a part."""
        while samples:
            if is_to_stop():
                raise _Interrupted
            block = next(self._blocks)
            yield block
            samples -= len(block[0])
            self._progress.advance(len(block[0]))


def _raise(failure: UserError | None) -> None:
    if failure:
        raise failure


def _agree_on_end(world: World, them: Parts, request: Request, wanted: int, made: int) -> None:
    """Raise ``Stopped`` on all ranks if some samples are missing. All ranks must call it."""
    reasons = world.gather_json(request.reason)
    if made == wanted:
        return
    asked = ", ".join(f"{reason} (rank {rank})" for rank, reason in enumerate(reasons) if reason)
    whole = f"{them.count - wanted + made} of {them.count} samples are in {them.directory}"
    if not made and requeues.count(os.environ) >= _STARTS_IN_VAIN:
        raise ConfigError(
            f"stopped by {asked} before a part was whole, though the job has been started again; "
            f"{whole}; use a smaller --part-size than {them.size}, or give the job more --time",
            on_all_ranks=True,
        )
    raise Stopped(f"stopped by {asked}; {whole}; the same command makes the rest")


def _write_file(world: World, producer: Producer, form: Form, count: int, request: Request) -> None:
    """Write one file, by rank 0, of what all ranks make. All ranks must call it."""
    out = form.output.path
    world.on_root(lambda: _prepare_file(form, count))
    blocks = _gathered(world, producer, form, count, request)
    if not world.is_root:
        for _ in blocks:  # gives this rank's samples to rank 0
            pass
        return
    progress = Progress(count, "", True)
    try:
        sample_file.write(out, form, count, progress.counted(blocks))
    finally:
        progress.close()


def _prepare_file(form: Form, count: int) -> None:
    """Make the directory of a file, and see whether there is room."""
    out = form.output.path
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if form.output.compression == "none":
        parts.check_room(out, count * form.sample_bytes, [])


def _gathered(
    world: World, producer: Producer, form: Form, count: int, request: Request
) -> Iterator[Block]:
    """Yield on rank 0 the chunks of a file, in order, which ranks make in turn; others get none.

    All ranks must take all that it yields.

    Raises:
        RunError: a rank was asked to stop.
    """
    out, shape = form.output.path, form.found.sample_shape
    each = list(chunks(range(count), shape, world.cores))
    own = ahead(producer.make, each[world.rank :: world.size])

    def go_on() -> None:
        if request.is_made():
            raise RunError(
                f"stopped by {request.reason}: {out} is not written; what is written to a "
                "directory (--out DIR) can be gone on with"
            )

    for _ in range(0, len(each), world.size):
        world.all_or_raise(go_on)
        images, labels = next(own, form.blank(0))
        every = None if labels is None else world.gather_arrays(labels)
        end = 0
        for made in world.arrays_in_turn(images):
            begin, end = end, end + len(made)
            if begin < end:
                yield made, None if every is None else every[begin:end]
