"""How fast samples are made and written, beside the generator alone, the disk and ONNX Runtime.

    mpirun -n 2 --bind-to core python -m benchmarks.generating CHECKPOINT --count 1000000

All ways take turns in one run, on the networks that were compiled once:

- the generator alone: each rank makes its part of the samples, and drops them;
- hpcgan generate: each rank makes and writes a part;
- one rank: rank 0 makes and writes a rank's part by itself, while the others wait;
- the disk alone: each rank writes as many bytes, 8 MiB a call, and has them flushed.

``--onnx`` is of another program: ONNX Runtime with one thread on one rank, by an export of the same
checkpoint, at several sizes of batch; nothing is written.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.measure import in_turns
from hpcgan import checkpoint
from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.generate import open_sampler
from hpcgan.generation.form import Form, Output
from hpcgan.generation.producer import Producer, chunks
from hpcgan.generation.sampler import Sampler, Wanted
from hpcgan.generation.write import write
from hpcgan.run_or_checkpoint import find
from hpcgan.world import World

TURNS = 3
FEW = 8 * BLOCK  # samples of the turn that is not counted
BATCHES = (1, 100, 10_000)
_ONNX_SECONDS = 2.0  # about, of a turn of each size


def main() -> None:
    """Measure on all ranks, and print on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--count", type=int, default=100_000, help="of samples (default: 100000)")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"default: {TURNS}")
    parser.add_argument("--onnx", type=Path, help="an export of the checkpoint")
    given = parser.parse_args()
    world = World()
    found = checkpoint.read_together(world, lambda: find(given.checkpoint))
    assert found
    sampler = open_sampler(world, found, Wanted(given.count))
    with tempfile.TemporaryDirectory(prefix="generating-", dir=".") as own:
        place = Path(world.broadcast_json(own))
        report(world, measure(world, sampler, place, given), sample_bytes(found), given.count)
        world.barrier()


def measure(
    world: World, sampler: Sampler, place: Path, given: argparse.Namespace
) -> dict[str, list[float]]:
    """Return the samples per second of each way in each turn. All ranks must call it."""
    own = world.part(world.rank)

    def ways(count: int) -> dict[str, Callable[[], float]]:
        share = count // world.size
        return {
            "the generator alone": partial(alone, world, sampler, share),
            "hpcgan generate": partial(written, world, world, sampler, place, count),
            "one rank": partial(written, world, own, sampler, place, share),
            "the disk alone": partial(flushed, world, place, sample_bytes(sampler.found), share),
        }

    # A turn of 10^6 samples takes many minutes: a short one has everything compiled and read.
    in_turns(ways(min(given.count, FEW)), 0)
    found = in_turns(ways(given.count), given.turns, uncounted=0)
    if given.onnx and world.is_root:
        runs = {f"ONNX Runtime, {size}": partial(by_onnx, given.onnx, size) for size in BATCHES}
        found |= in_turns(runs, given.turns)
    return found


def sample_bytes(found: Checkpoint) -> int:
    """Return the bytes of a sample in a file."""
    return Form(found, Output(Path("out"))).sample_bytes


def alone(world: World, sampler: Sampler, share: int) -> float:
    """Make every rank's share of samples; return the samples of all per second."""
    make = Producer([sampler]).make

    def work() -> None:
        for each in chunks(range(share), sampler.found.sample_shape, world.cores):
            make(each)

    return world.size * share / seconds(world, work)


def written(world: World, own: World, sampler: Sampler, place: Path, count: int) -> float:
    """Make and write samples by the ranks of ``own``, if rank 0 is among them; return the rate."""
    out = place / "samples"

    def work() -> None:
        if own is world or world.is_root:
            wanted = Wanted(count)
            facts = {"checkpoint": "of a benchmark"}
            output = Output(out, part_size=max(BLOCK, count // own.size // BLOCK * BLOCK))
            write(own, Producer([sampler]), sampler.found, facts, wanted, output, "it", None)

    rate = count / seconds(world, work)
    world.on_root(lambda: shutil.rmtree(out))
    return rate


def flushed(world: World, place: Path, size: int, share: int) -> float:
    """Write the bytes of every rank's share; return the samples of all per second."""
    path, some = place / f"bytes-{world.rank}", np.ones(2**23, np.uint8).data

    def work() -> None:
        with path.open("wb", buffering=0) as file:
            for first in range(0, share * size, len(some)):
                file.write(some[: share * size - first])
            os.fsync(file.fileno())

    rate = world.size * share / seconds(world, work)
    path.unlink()
    return rate


def seconds(world: World, work: Callable[[], None]) -> float:
    """Return how long the slowest rank works. All ranks must call it."""
    world.barrier()
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    world.wait_asleep()
    return max(world.gather_json(took))


def by_onnx(path: Path, size: int) -> float:
    """Return the samples per second that ONNX Runtime makes with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs = {}
    for each in session.get_inputs():
        shape = (size, *each.shape[1:])
        if each.type == "tensor(float)":
            inputs[each.name] = np.abs(rng.normal(size=shape)).astype(np.float32)
        else:
            inputs[each.name] = np.zeros(shape, np.int32)
    session.run(["samples"], inputs)
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < _ONNX_SECONDS:
        session.run(["samples"], inputs)
        calls += 1
    return calls * size / (time.perf_counter() - began)


def report(world: World, rates: dict[str, list[float]], size: int, count: int) -> None:
    """Print the median of each way, with the smallest and the largest, and the ratios."""
    if not world.is_root:
        return
    middle = {way: median(each) for way, each in rates.items()}
    print(f"{count} samples of {size} bytes on {world.size} ranks of {world.cores} cores each")
    print(f"  {'':<24}{'samples/s':>11}{'smallest':>11}{'largest':>11}{'MB/s':>9}")
    for way, each in rates.items():
        numbers = f"{middle[way]:>11.0f}{min(each):>11.0f}{max(each):>11.0f}"
        print(f"  {way:<24}{numbers}{middle[way] * size / 1e6:>9.1f}")
    for over in ("the generator alone", "one rank", "the disk alone"):
        ratios = [a / b for a, b in zip(rates["hpcgan generate"], rates[over], strict=True)]
        bounds = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"  hpcgan generate / {over}: {median(ratios):.2f} ({bounds})")


if __name__ == "__main__":
    main()
