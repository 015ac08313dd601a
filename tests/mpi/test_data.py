"""The data on any number of ranks: who holds what, in which order, and that none waits for ever."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data import shards
from hpcgan.data.assignment import assign_shards
from hpcgan.data.placement import opened_shards
from hpcgan.data.prefetcher import Prefetcher
from hpcgan.data.source import open_source
from hpcgan.errors import ConfigError, DataError
from hpcgan.gan import noise
from hpcgan.training import plan
from hpcgan.training.stop import Request

_SHARDS = 5
_COUNTS = (30, 1, 16)
_SAMPLES = sum(_COUNTS)


def _write(directory, counts=_COUNTS):
    """Write files whose samples' values are their numbers; labels are the number modulo 3."""
    first, names = 0, []
    for number, count in enumerate(counts):
        names.append(str(directory / f"part-{number}.h5"))
        values = np.arange(first, first + count, dtype=np.float32)
        with h5py.File(names[-1], "w") as file:
            pixels = np.broadcast_to(values.reshape(-1, 1, 1, 1), (count, 8, 8, 1))
            chunks = (min(4, count), 8, 8, 1)
            file.create_dataset("images", data=pixels, chunks=chunks, compression="gzip")
            file["labels"] = np.arange(first, first + count) % 3
        first += count
    return names


def _streams(world, count, **data):
    """Return what every shard gives, of all ranks: numbers of samples."""
    section = DataConfig(**{"shards": _SHARDS, "labels": "labels", **data})
    config = Config(data=section, seed=5, train=TrainConfig(batch_size=2))
    source = open_source(world, section)
    config, assignment = assign_shards(world, config, source, None)
    own = []
    with opened_shards(world, config, source, assignment) as of_seed:
        opened = of_seed(config.seed)
        assert list(opened) == list(assignment.hosted)
        for shard in opened.values():
            out = np.empty((count, *source.sample_shape), source.dtype)
            shard.take(3, out)
            own.append(out[:, 0, 0, 0].astype(int).tolist())
    assert len(assignment.sizes) == _SHARDS
    assert sum(assignment.sizes) == len(source)
    return config.data, [stream for rank in world.gather_json(own) for stream in rank]


@pytest.mark.parametrize(
    ("partition", "aligned"),
    [("contiguous", True), ("contiguous", False), ("strided", True), ("balanced", None)],
)
def test_every_shard_gives_the_same_samples_wherever_it_is_hosted_and_kept(
    world, shared_path, monkeypatch, partition, aligned
):
    monkeypatch.setattr("hpcgan.data.source.default_chunk", lambda sample_bytes, samples: 4)
    files = world.on_root(lambda: _write(shared_path))
    same = {"files": files, "partition": partition, "align": aligned, "shuffle": "chunks"}
    same |= {"shuffle_chunks": 2}
    edges = np.array([*range(0, 30, 4), 30, *range(31, 47, 4), 47])
    labels = np.arange(_SAMPLES) % 3
    expected = []
    divided = shards.divide(partition, edges, _SHARDS, range(_SHARDS), bool(aligned), labels)
    for shard, pieces in divided.items():
        sizes = np.array([len(piece) for piece in pieces])
        numbers = np.concatenate([np.array(piece) for piece in pieces])
        order = np.concatenate([shards.pooled_order(5, shard, e, sizes, 2) for e in range(9)])
        expected.append(numbers[order[3:43]].tolist())
    staged = str(shared_path / "disk")
    for kept in (
        {"residency": "memory"},
        {"residency": "node"},
        {"residency": "stream"},
        {"residency": "stream", "stage": staged},
    ):
        assert _streams(world, 40, **same, **kept)[1] == expected, kept
    world.barrier()
    assert list(Path(staged).iterdir()) == []


def test_balanced_shards_are_shared_on_a_node_of_several_ranks(world, shared_path):
    files = world.on_root(lambda: _write(shared_path))
    section = DataConfig(files=files, labels="labels", shards=_SHARDS, partition="balanced")
    config = Config(data=section, train=TrainConfig(batch_size=2))
    _, assignment = assign_shards(world, config, open_source(world, section), None)
    assert assignment.placement == ("node" if world.node_size > 1 else "memory")
    # 47 labels, 0 1 2 in turn: no shard has one more than once more than another.
    assert set(assignment.sizes) == {9, 10}
    assert min(assignment.entropies) > 1.5


def test_the_memory_of_a_node_is_one_and_what_one_rank_writes_all_see(world):
    size = 2**25
    before = world.gather_json(_shared_memory())
    array = world.node_array((size,), "uint8")
    part = slice(
        size * world.node_rank // world.node_size, size * (world.node_rank + 1) // world.node_size
    )
    array[part] = world.node_rank + 1
    world.barrier()
    counts = np.bincount(array, minlength=world.node_size + 1)  # touches all pages
    assert counts[1:].min() >= size // world.node_size - 1
    world.barrier()  # a page that another has not touched yet would count as this rank's alone
    after = world.gather_json(_shared_memory())
    if world.size == 1:
        return  # there is no one to share with, and MPI takes memory of another kind
    resident = [new["Rss"] - old["Rss"] for new, old in zip(after, before, strict=True)]
    proportional = [new["Pss"] - old["Pss"] for new, old in zip(after, before, strict=True)]
    # Each rank sees the whole array; all of them together hold it once.
    assert min(resident) > 0.95 * size
    assert abs(sum(proportional) - size) < 0.1 * size


def _shared_memory():
    """Return bytes of shared memory in use by this process, whole (Rss) and in proportion (Pss)."""
    totals = {"Rss": 0, "Pss": 0}
    is_shared = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_shared = " rw-s " in line
        elif is_shared and line.split(":")[0] in totals:
            totals[line.split(":")[0]] += int(line.split()[1]) * 1024
    return totals


def _config(world, directory, files, **data):
    """Write a config and return its path."""
    content = {
        "data": {"files": files, **data},
        "model": {"latent_dim": 4},
        "train": {"steps": 12, "batch_size": 1},
        "checkpoint": {"every_steps": 12},
        "log": {"every_steps": 12},
    }
    world.on_root(lambda: (directory / "config.yaml").write_text(json.dumps(content)) and None)
    return str(directory / "config.yaml")


def _train(world, config, run_dir, *overrides):
    from hpcgan.training import run

    made = plan.prepare(world, config, list(overrides), run_dir, "auto")
    run.train(world, made, Request(None, {}))
    return made


@pytest.mark.parametrize("residency", ["memory", "stream"])
def test_shards_of_1000_and_1_and_37_samples_make_the_same_steps(world, shared_path, residency):
    files = world.on_root(lambda: _write(shared_path, (1000, 1, 37)))
    pattern = [str(Path(files[0]).with_name("part-*.h5"))]
    config = _config(world, shared_path, pattern, shards=3, align=True, residency=residency)
    if world.size > 3:
        with pytest.raises(ConfigError, match=r"data\.shards is 3, but there are 4 ranks"):
            plan.prepare(world, config, [], shared_path / "run", "auto")
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpcgan.data.source.default_chunk", lambda sample_bytes, samples: 1000)
        run = _train(world, config, shared_path / "run")
        assert run.assignment.sizes == (1000, 1, 37)
        with pytest.raises(ConfigError, match=r"a shard of .* holds 1 samples"):
            plan.prepare(world, config, ["--train.batch_size=2"], shared_path / "two", "auto")
    if world.is_root:
        (line,) = (shared_path / "run" / "metrics.jsonl").read_text().splitlines()
        assert json.loads(line)["step"] == 12


def test_seven_samples_on_any_ranks_finish_and_fewer_than_ranks_are_refused(world, shared_path):
    files = world.on_root(lambda: _write(shared_path, (7,)))
    config = _config(world, shared_path, files, residency="stream", uneven="drop")
    run = _train(world, config, shared_path / "run")
    assert sum(run.assignment.sizes) == 7
    assert len(run.assignment.sizes) == world.size
    with pytest.raises(DataError, match="7 samples cannot be divided into 8 shards") as caught:
        plan.prepare(world, config, ["--data.shards=8"], shared_path / "eight", "auto")
    assert caught.value.on_all_ranks


def test_a_header_that_one_rank_reads_is_refused_by_all(world, shared_path):
    files = world.on_root(lambda: _write(shared_path, (3, 3, 3, 3)))

    def spoil():
        with h5py.File(files[3], "w") as file:
            file["images"] = np.zeros((2, 9, 9, 1), np.float32)

    world.on_root(spoil)
    with pytest.raises(DataError) as caught:
        open_source(world, DataConfig(files=files))
    assert caught.value.on_all_ranks
    assert str(caught.value).startswith(f"{files[3]}: 'images' holds float32 samples of shape (9,")


def test_a_streamed_run_stopped_and_resumed_ends_as_one_that_never_stopped(world, shared_path):
    from hpcgan import checkpoint

    files = world.on_root(lambda: _write(shared_path))
    config = _config(
        world, shared_path, files, shards=_SHARDS, residency="stream", shuffle_chunks=1
    )
    _train(world, config, shared_path / "whole")
    _train(world, config, shared_path / "parts", "--train.steps=7")
    # What goes on from memory takes the samples in the same order.
    _train(world, config, shared_path / "parts", "--data.residency=memory")
    if world.is_root:
        ends = [
            checkpoint.read(checkpoint.path_of(shared_path / name / "checkpoints", 12)).groups
            for name in ("whole", "parts")
        ]
        for group, named in ends[0].items():
            for name, array in named.items():
                np.testing.assert_array_equal(ends[1][group][name], array, err_msg=name)


def test_samples_and_latents_of_every_shard_do_not_depend_on_the_ranks(world, shared_path):
    files = world.on_root(lambda: _write(shared_path))
    path = _config(world, shared_path, files, shards=_SHARDS)
    run = plan.prepare(world, path, [], shared_path / "run", "auto")
    with opened_shards(world, run.config, run.source, run.assignment) as own:
        batches = list(
            Prefetcher(own(run.config.seed).values(), 5, (8, 8, 1), "float32").batches(
                [(0, 7), (7, 4)]
            )
        )
    samples = np.concatenate([batch.numpy() for batch in batches])[..., 0, 0, 0].swapaxes(0, 1)

    def drawn(streams):
        keys = noise.batch_keys(streams, tf.constant(9, tf.int64), 0, 1)
        return noise.latents(keys.latents, 5, 6)

    latents = drawn(noise.streams(run.config.seed, 1, run.assignment.hosted))
    latents = latents.numpy().reshape(-1, 5, 6)
    samples, latents = world.gather_arrays(samples), world.gather_arrays(latents)
    if not world.is_root:
        return
    for shard in range(_SHARDS):
        begin, end = (_SAMPLES * s // _SHARDS for s in (shard, shard + 1))
        orders = [shards.epoch_order(0, shard, epoch, end - begin) for epoch in range(7)]
        places = np.concatenate(orders)[: 11 * 5].reshape(11, 5)
        assert np.array_equal(samples[shard], begin + places)
        alone = drawn(noise.streams(0, 1, range(shard, shard + 1)))
        np.testing.assert_allclose(latents[shard], alone, rtol=3e-7, atol=3e-7)
