"""A start of a study of each way of training: what its ranks send, and what the GAN has reached."""

from __future__ import annotations

import pytest

from hpcgan.scaling import calls, measure, quality_run
from hpcgan.scaling.runs import Quality, Run, read_start
from tests.mpi.small_runs import write_config

# Numbers of the networks of 8x8, in rows of 16, and the row of losses and notes (test_measure).
D = 64 * 128 + 128 + 128 * 128 + 128 + 128 + 16
G = 6 * 128 + 128 + 128 * 128 + 128 + 128 * 64 + 64
NOTES = 16


def start(world, path, kind, make, *words):
    """Make a start and return what its file holds, on rank 0."""
    config = write_config(world, path)
    out = path / "out.json"
    arguments = calls.parse(kind, make, [str(config), str(out), "weak", *words])
    arguments.run(world, arguments)
    world.barrier()
    return read_start(out, kind)


@pytest.mark.parametrize("first", [1, 2])
def test_what_split_sends(world, shared_path, first):
    others = world.size - first
    if world.size != 3:
        return  # more ranks take longer, and fewer have no groups
    words = ["0.05", "--parallel.mode=split", f"--parallel.generator_ranks={first}"]
    found = start(world, shared_path, Run, measure.measure, *words)
    batch = found.config["train"]["batch_size"]
    sent = found.traffic
    assert (sent["exchanges"], sent["group_exchanges"], sent["hand_overs"]) == (0, 1, 1)
    # The ring of more numbers counts, each rank of p of which sends (p - 1) / p.
    moved = {first: (first - 1) / first * (G + NOTES), others: (others - 1) / others * (D + NOTES)}
    if any(moved.values()):
        ranks = max(moved, key=lambda each: moved[each])
        assert sent["group_share"] == ranks / world.size
        numbers = G + NOTES if moved[first] == moved[ranks] and first == ranks else D + NOTES
        assert sent["group_bytes"] == 4 * numbers
    part = -(-D // others)  # of D, that each of its ranks gives to each of G's
    fakes = batch * 64 * -(-world.size // min(first, others))
    assert sent["hand_over_bytes"] == 4 * max(part * others, part * first, fakes)
    assert sent["batch_share"] == min(first, others) / world.size
    assert found.baseline_step > 0


def test_what_discriminators_of_their_own_send(world, shared_path):
    if world.size != 2:
        return
    words = ["0.05", f"--train.discriminators={world.size}"]
    sent = start(world, shared_path, Run, measure.measure, *words).traffic
    assert (sent["exchanges"], sent["gradient_bytes"]) == (1, 4 * (G + NOTES))
    assert (sent["group_exchanges"], sent["group_share"]) == (1, 1 / world.size)


def test_the_gan_of_split_is_evaluated_as_that_of_the_same_staleness(world, shared_path):
    if world.size != 2:
        return
    ends = []
    for way in ("synchronous", "split"):
        words = ["100", f"--parallel.mode={way}", "--train.staleness=2"]
        points = start(world, shared_path, Quality, quality_run.train, *words).points
        ends.append([point.frechet for point in points])
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)
    assert ends[0][0] != ends[0][-1]
