"""Every sample is used the intended number of times, wherever a run stops and goes on."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data.assignment import assign_shards
from hpcgan.data.placement import opened_shards
from hpcgan.data.prefetcher import Prefetcher
from hpcgan.data.source import open_source
from hpcgan.world import World

SAMPLES, SHARDS, BATCH = 47, 3, 4
STEPS = 30  # seven passes and a half through a shard of 16


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a file in chunks of 5, whose samples' pixels tell their numbers."""
    path = tmp_path_factory.mktemp("data") / "data.h5"
    pixels = np.broadcast_to(np.arange(SAMPLES).reshape(-1, 1, 1, 1), (SAMPLES, 2, 2, 1))
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=pixels.astype(np.uint8), chunks=(5, 2, 2, 1))
    return str(path)


def _used(world: World, data: DataConfig, first: int, last: int) -> np.ndarray:
    """Return the numbers of the samples of steps ``first`` to ``last``, (shards, samples)."""
    config = Config(data=data, train=TrainConfig(batch_size=BATCH, steps=STEPS))
    source = open_source(world, data)
    config, assignment = assign_shards(world, config, source, None)
    with opened_shards(world, config, source, assignment) as of_seed:
        shards = of_seed(config.seed)
        feed = Prefetcher(shards.values(), BATCH, source.sample_shape, source.dtype)
        middle = (first + last) // 2
        calls = [(a, b - a) for a, b in pairwise([first, middle, last]) if b > a]
        batches = [np.array(batch) for batch in feed.batches(calls)]
    steps = np.concatenate(batches)[..., 0, 0, 0]  # (steps, shards, batch)
    return steps.swapaxes(0, 1).reshape(SHARDS, -1)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(1, STEPS - 1), max_size=4, unique=True),
    chosen=st.data(),
    shuffle=st.sampled_from(["samples", "chunks"]),
    uneven=st.sampled_from(["wrap", "drop"]),
    partition=st.sampled_from(["contiguous", "strided"]),
)
def test_each_pass_uses_each_sample_once_through_any_sequence_of_stops(
    world: World,
    data_path: str,
    stops: list[int],
    chosen: st.DataObject,
    shuffle: str,
    uneven: str,
    partition: str,
) -> None:
    places = ["memory", "node"] + (["stream"] if shuffle == "chunks" else [])
    parts = []
    for first, last in pairwise([0, *sorted(stops), STEPS]):
        data = DataConfig(
            files=[data_path],
            shards=SHARDS,
            shuffle=shuffle,
            shuffle_chunks=2,
            uneven=uneven,
            partition=partition,
            align=False,
            residency=chosen.draw(st.sampled_from(places)),
        )
        parts.append(_used(world, data, first, last))
    used = np.concatenate(parts, axis=1)
    own = [set(row.tolist()) for row in used]
    assert sorted(n for shard in own for n in shard) == list(range(SAMPLES))
    for row, numbers in zip(used, own, strict=True):
        size = len(numbers)
        length = size if uneven == "wrap" else size - size % BATCH
        for begin in range(0, len(row) - length + 1, length):
            counts = Counter(row[begin : begin + length].tolist())
            assert set(counts.values()) == {1}
            assert set(counts) <= numbers
