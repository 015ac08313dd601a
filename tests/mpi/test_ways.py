"""What every way of training must hold, on any number of ranks: see ``ways``."""

from __future__ import annotations

import json
from collections.abc import Callable

import h5py
import numpy as np
import pytest
import tensorflow as tf

from hpcgan import checkpoint
from hpcgan.data import shards
from hpcgan.errors import RunError
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.training.replica_check import ReplicaCheck
from tests.mpi import ways
from tests.mpi.small_runs import SHARDS, check_same, train, variables, write_config
from tests.mpi.ways import CASES, RATES, WAYS, Trained, Way, configure, own_shards


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Return each way of training."""
    made: Way = request.param
    return made


@pytest.fixture(autouse=True)
def _loops(monkeypatch):
    """Have loops instead of a copy for each batch: the same sums, in less time to compile."""
    monkeypatch.setattr("hpcgan.gan.step.UNROLLED", 1)


# --- which networks are trained --------------------------------------------------------------


@pytest.fixture(scope="module")
def references(world, way):
    """Return losses and networks of one rank alone, by case and optimizer.

    Each rank makes those of some cases, and gives them to all.
    """
    if world.size == 1:
        return {}  # there is nothing to compare with
    own = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpcgan.gan.step.UNROLLED", 1)
        for number, case in enumerate(CASES):
            if number % world.size == world.rank:
                trained = Trained(case, way.reference, range(SHARDS))
                own[case] = {name: [a.tolist() for a in trained.run(name)] for name in RATES}
    return {case: by_name for each in world.gather_json(own) for case, by_name in each.items()}


@pytest.fixture(scope="module")
def trained(way, ring, world) -> Callable[[str], Trained]:
    """Return a function that makes the networks of a case and what trains them, once."""
    made: dict[str, Trained] = {}

    def give(case: str) -> Trained:
        if case not in made:
            made.clear()
            make = lambda *given: way.strategy(ring, *given)  # noqa: E731
            made[case] = Trained(case, make, own_shards(world))
        return made[case]

    return give


@pytest.mark.parametrize(("optimizer", "bound"), [("sgd", 1e-5), ("adam", 1e-3)])
@pytest.mark.parametrize("case", CASES)
def test_any_number_of_ranks_trains_the_same_networks_as_one(
    world, trained, references, case, optimizer, bound
):
    if world.size == 1:
        return  # it is the reference, which more ranks make
    losses, networks = trained(case).run(optimizer)
    total = float(np.sum(networks, dtype=np.float64))
    assert world.gather_json(total) == [total] * world.size
    expected_losses, expected = map(np.array, references[case][optimizer])
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-3, atol=1e-5)
    assert ways.relative_difference(networks, expected) < bound


@pytest.mark.parametrize(("case", "rank"), [("mlp", 0), ("dcgan", 1)])
def test_another_seed_of_one_shard_would_be_seen(world, way, monkeypatch, case, rank):
    """What the test before compares depends on the noise of each shard."""
    if world.rank != rank % world.size:
        return
    streams = noise.streams

    def with_an_odd_one(seed, batches, shards):
        seeds = [seed + (shard == 2) for shard in shards]
        own = [streams(s, batches, shards[i : i + 1]) for i, s in enumerate(seeds)]
        return tf.concat(own, 0)

    _, networks = Trained(case, way.reference, range(SHARDS)).run("sgd")
    monkeypatch.setattr(noise, "streams", with_an_odd_one)
    _, odd = Trained(case, way.reference, range(SHARDS)).run("sgd")
    assert ways.relative_difference(odd, networks) > 1e-4


# --- what all ranks decide alike -------------------------------------------------------------


def _made(world, way, ring, case, dtype):
    """Return the networks of a case and the strategy that trains them."""
    config = configure(case)
    state = State(config, (8, 8, 1))
    return state, way.strategy(ring, config, state, dtype, own_shards(world))


def _zeros(world, steps, per_step, dtype):
    return np.zeros((steps, len(own_shards(world)), per_step, 8, 8, 1), dtype)


def test_a_bad_number_of_one_rank_leaves_the_update_out_on_all(world, way, ring):
    state, strategy = _made(world, way, ring, "mlp", "float32")
    before = state.arrays()
    samples = _zeros(world, 1, 6, np.float32)
    bad = samples.copy()
    if world.rank == world.size - 1:
        bad[0, -1, 2, 3, 4, 0] = np.nan
    report = strategy.run(tf.constant(bad), tf.constant(0, tf.int64))
    assert report.skipped.numpy().tolist() == [1]
    for group, named in state.arrays().items():
        for name, array in named.items():
            assert np.array_equal(array, before[group][name])
    good = strategy.run(tf.constant(samples), tf.constant(1, tf.int64))
    assert (good.skipped.numpy().tolist(), good.stop.numpy().tolist()) == ([0], [0])
    assert np.isfinite(good.losses).all()


def test_one_rank_that_wants_to_stop_is_heard_by_all(world, way, ring):
    _, strategy = _made(world, way, ring, "mlp alternating", "uint8")
    samples = tf.constant(_zeros(world, 2, 12, np.uint8))
    assert not strategy.run(samples, tf.constant(0, tf.int64)).stop.numpy().any()
    if world.rank == world.size - 1:
        strategy.request_stop()
    assert (strategy.run(samples, tf.constant(2, tf.int64)).stop.numpy() > 0).all()


def test_a_rank_whose_networks_drift_is_named(world, way, ring):
    state, strategy = _made(world, way, ring, "mlp", "uint8")
    check = ReplicaCheck(world, state, 10)
    strategy.run(tf.constant(_zeros(world, 3, 6, np.uint8)), tf.constant(0, tf.int64))
    state.step = 20
    check.check()  # all have trained the same
    state.step = 30
    if world.rank == 1:
        bias = state.discriminator.trainable_variables[1]
        bias.assign(bias + 1e-7)
    if world.size == 1:
        check.check()
        return
    named = r"^after step 30 the networks of rank 1 on .* differ"
    with pytest.raises(RunError, match=named) as caught:
        check.check()
    assert caught.value.on_all_ranks
    # What was written after step 20 may have come of it.
    assert "from a checkpoint of step 20 or before" in str(caught.value)


# --- whole runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "half"), [("mlp", 50), ("dcgan", 5)])
def test_a_run_stopped_and_resumed_ends_as_one_that_never_stopped(
    world, way, shared_path, model, half
):
    config = write_config(
        world,
        shared_path,
        model={"name": model, "latent_dim": 6, "width": 4},
        train={"steps": 2 * half, "batch_size": 5},
        checkpoint={"every_steps": half},
        log={"every_steps": half},
    )
    train(world, config, shared_path / "whole", *way.options)
    train(world, config, shared_path / "parts", *way.options, f"--train.steps={half}")
    train(world, config, shared_path / "parts", *way.options)
    check_same(*(variables(world, shared_path / name, 2 * half) for name in ("parts", "whole")))
    if world.is_root:
        text = (shared_path / "parts" / "metrics.jsonl").read_text()
        assert [json.loads(line)["step"] for line in text.splitlines()] == [half, 2 * half]


def test_losses_that_are_not_finite_stop_all_ranks(world, way, shared_path):
    config = write_config(world, shared_path)
    options = [*way.options, "--optimizer.generator.learning_rate=1e30"]
    # A line only at the end: what is not finite must be seen before a checkpoint is made of it.
    options += ["--train.steps=100", "--log.every_steps=100", "--checkpoint.keep=1"]
    with pytest.raises(RunError, match=r"of step \d+ are not finite") as caught:
        train(world, config, shared_path / "run", *options)
    assert caught.value.on_all_ranks
    if world.is_root:
        kept, _ = checkpoint.newest(shared_path / "run" / "checkpoints")
        assert kept is not None
        assert kept.step < 10


def _write_bad_sample(world, directory, steps):
    """Write data with a sample that is too large, used in a step of the middle; return the step.

    The data have a hundred samples per shard, so that it is used once.
    """

    def write():
        rng = np.random.default_rng(3)
        images = rng.uniform(-1, 1, (100 * SHARDS, 8, 8, 1)).astype(np.float32)
        order = shards.epoch_order(0, 2, 0, 100)
        images[200 + order[5 * (steps // 2) + 3]] = 3e38  # the networks overflow
        with h5py.File(directory / "data.h5", "w") as file:
            file["images"] = images

    world.on_root(write)
    return steps // 2


def test_a_run_goes_back_to_its_checkpoint_and_passes_bad_samples_by(world, way, shared_path):
    config = write_config(world, shared_path)
    bad = _write_bad_sample(world, shared_path, 15)
    options = [*way.options, "--train.steps=15", "--checkpoint.every_steps=3"]
    options += ["--watch.nonfinite=rollback", "--log.every_steps=1"]
    train(world, config, shared_path / "whole", *options)
    # The checkpoint of step 9 is made after the run has gone back.
    train(world, config, shared_path / "parts", *options, "--train.steps=9")
    train(world, config, shared_path / "parts", *options)
    with pytest.raises(RunError, match=r"step 8 are not finite, and the run has gone back 0 times"):
        train(world, config, shared_path / "none", *options, "--watch.rollbacks=0")
    if not world.is_root:
        return
    whole = checkpoint.read(checkpoint.path_of(shared_path / "whole" / "checkpoints", 15))
    # Gone back from the end of step 8 to step 6: two updates were lost.
    assert (bad, whole.rollbacks, whole.discarded) == (7, 1, 2)
    text = (shared_path / "whole" / "history.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert [(each["event"], each["step"]) for each in events] == [
        ("started", 0),
        ("rolled back", 6),
        ("finished", 15),
    ]
    lines = (shared_path / "whole" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 16))
    check_same(*(variables(world, shared_path / name, 15) for name in ("parts", "whole")))
