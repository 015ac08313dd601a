"""Labels keep step with their samples, wherever those are and however they are divided."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data.assignment import assign_shards
from hpcgan.data.placement import in_memory_shards, opened_shards
from hpcgan.data.source import open_source
from hpcgan.world import World

pytestmark = pytest.mark.usefixtures("small_chunks")

TOTAL = 40  # samples of ``files``
SHARDS = 4  # with 3, dealt out in turn, all samples of a shard would have one label
BATCH = 4


@pytest.mark.parametrize(
    ("residency", "shuffle"),
    [
        ("memory", "samples"),
        ("memory", "chunks"),
        ("node", "samples"),
        ("node", "chunks"),
        ("stream", "chunks"),
    ],
)
@pytest.mark.parametrize("partition", ["contiguous", "strided", "balanced"])
@pytest.mark.parametrize("uneven", ["wrap", "drop"])
def test_each_sample_comes_with_its_own_label(
    world: World, files: list[str], residency: str, shuffle: str, partition: str, uneven: str
) -> None:
    section = DataConfig(
        files=files,
        labels="labels",
        shards=SHARDS,
        partition=partition,  # type: ignore[arg-type]
        residency=residency,  # type: ignore[arg-type]
        shuffle=shuffle,  # type: ignore[arg-type]
        uneven=uneven,  # type: ignore[arg-type]
        shuffle_chunks=2,
    )
    config = Config(data=section, seed=5, train=TrainConfig(batch_size=BATCH))
    source = open_source(world, section)
    config, assignment = assign_shards(world, config, source, None)
    seen = set()
    with opened_shards(world, config, source, assignment) as of_seed:
        samples = of_seed(config.seed)
        labels = in_memory_shards(config, config.seed, assignment, assignment.labels)
        assert set(samples) == set(labels) == set(range(SHARDS))
        for shard, of_samples in samples.items():
            # From the middle of the first pass through the third, and back to where it began.
            for start in [*range(2 * BATCH, 3 * TOTAL // SHARDS, BATCH), 0]:
                images = np.empty((BATCH, 2, 2, 1), np.uint8)
                given = np.empty(BATCH, np.int64)
                of_samples.take(start, images)
                labels[shard].take(start, given)
                numbers = images[:, 0, 0, 0]
                assert given.tolist() == (numbers % 3).tolist()
                seen |= set(numbers.tolist())
    assert len(seen) == TOTAL


def test_labels_of_several_values_stay_with_their_sample(world: World, files: list[str]) -> None:
    first = 0
    for name in files:
        with h5py.File(name, "r+") as file:
            numbers = np.arange(first, first + len(file["images"]), dtype=np.float32)
            file["both"] = np.stack([numbers + 1, -numbers], axis=1)
            first += len(numbers)
    section = DataConfig(files=files, labels="both", shards=SHARDS, partition="strided")
    config = Config(data=section, seed=5, train=TrainConfig(batch_size=BATCH))
    source = open_source(world, section)
    config, assignment = assign_shards(world, config, source, None)
    assert assignment.label_ranges == ((1, TOTAL), (1 - TOTAL, 0))
    assert assignment.entropies == ()
    with opened_shards(world, config, source, assignment) as of_seed:
        samples = of_seed(config.seed)
        labels = in_memory_shards(config, config.seed, assignment, assignment.labels)
        for shard, of_samples in samples.items():
            images = np.empty((BATCH, 2, 2, 1), np.uint8)
            given = np.empty((BATCH, 2), np.float32)
            of_samples.take(3, images)
            labels[shard].take(3, given)
            numbers = images[:, 0, 0, 0].astype(int)
            assert given.tolist() == [[number + 1, -number] for number in numbers]
