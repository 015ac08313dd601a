"""How the data are divided and kept: what is decided, what is said, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data import assignment
from hpcgan.data.assignment import ShardAssignment, assign_shards
from hpcgan.data.source import open_source
from hpcgan.errors import ConfigError, DataError, UserError
from hpcgan.world import World

Divide = Callable[..., tuple[DataConfig, ShardAssignment, str]]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return files of 8 and 5 samples of 64 bytes in chunks of 4, labelled 0 and 1 in turn."""
    names = []
    for number, count in enumerate((8, 5)):
        names.append(str(tmp_path / f"{number}.h5"))
        with h5py.File(names[-1], "w") as file:
            pixels = np.zeros((count, 8, 8, 1), np.uint8)
            file.create_dataset("images", data=pixels, chunks=(4, 8, 8, 1))
            file["labels"] = np.arange(count) % 2
    return names


@pytest.fixture
def divide(world: World, files: list[str], monkeypatch: pytest.MonkeyPatch) -> Divide:
    """Return a function that divides the files on a node with some free memory."""
    # A file's chunks of less than 1 MiB would be read together.
    monkeypatch.setattr("hpcgan.data.source.default_chunk", lambda sample_bytes, samples: 4)

    def divide_them(
        *,
        free: int = 10**9,
        shared: int | None = None,
        batch: int = 1,
        earlier: DataConfig | None = None,
        **data,
    ) -> tuple[DataConfig, ShardAssignment, str]:
        monkeypatch.setattr(assignment, "free_memory", lambda: free)
        monkeypatch.setattr(assignment, "free_shared_memory", lambda: shared or free)
        section = DataConfig(**{"files": files, "shards": 3, **data})
        config = Config(data=section, train=TrainConfig(batch_size=batch))
        config, divided = assign_shards(world, config, open_source(world, section), earlier)
        return config.data, divided, divided.describe(config)

    return divide_them


def refusal(divide: Divide, kind: type[UserError], **values) -> str:
    with pytest.raises(kind) as caught:
        divide(**values)
    assert "\n" not in str(caught.value)
    assert caught.value.on_all_ranks
    return str(caught.value)


def test_what_fits_in_half_the_memory_is_kept_there(divide: Divide) -> None:
    data, divided, said = divide(free=2 * 13 * 64)
    assert (divided.placement, data.shuffle, data.align) == ("memory", "samples", False)
    assert divided.sizes == (4, 4, 5)
    assert said == (
        "3 contiguous shards of 4 to 5 samples; all are seen in 5 steps; in memory "
        "(auto: 832 B per node, 1.66 kB free), shuffled one by one"
    )
    assert "shards of 4 to 5 samples; all are seen in 3 steps;" in divide(batch=2)[2]


def test_what_does_not_fit_is_streamed_in_whole_chunks(divide: Divide) -> None:
    data, divided, said = divide(free=2 * 13 * 64 - 1, labels="labels")
    assert (divided.placement, data.shuffle, data.align) == ("stream", "chunks", True)
    # Chunks of 4, 4, 4 and 1.
    assert divided.sizes == (4, 4, 5)
    assert divided.slices == {
        0: [range(0, 4)],
        1: [range(4, 8)],
        2: [range(8, 12), range(12, 13)],
    }
    assert said == (
        "3 contiguous shards of 4 to 5 samples, labels of 0.971 to 1.000 bits; all are seen in 5 "
        "steps; streamed (auto: 832 B per node, 1.66 kB free), shuffled in a pool of 16 chunks"
    )


def test_fewer_chunks_than_shards_are_divided_by_samples_unless_asked(divide: Divide) -> None:
    assert divide(residency="stream", shards=4)[0].align is True
    data, divided, _ = divide(residency="stream", shards=6)
    assert data.align is False
    assert divided.sizes == (2, 2, 2, 2, 2, 3)
    message = refusal(divide, DataError, residency="stream", shards=6, align=True)
    assert message.endswith(
        "4 chunks cannot be divided into 6 shards; use data.align: false, or smaller chunks "
        "(hpcgan-data reshard --chunk)"
    )


def test_samples_dealt_out_to_several_ranks_of_a_node_are_kept_once_if_that_fits(
    divide: Divide, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = 2 * 13 * 64
    assert divide(partition="strided")[1].placement == "memory"
    monkeypatch.setattr(world, "node_size", 2)
    assert divide(partition="strided", free=fits)[1].placement == "node"
    assert divide(partition="strided", shared=fits - 1)[1].placement == "memory"
    assert divide(partition="strided", free=fits - 1, shared=fits)[1].placement == "stream"
    assert divide(partition="contiguous")[1].placement == "memory"


def test_balanced_shards_hold_both_labels_alike(divide: Divide) -> None:
    data, divided, _ = divide(partition="balanced", labels="labels", residency="stream", shards=2)
    assert data.align is False
    assert divided.sizes == (7, 6)
    assert [
        sorted(s for chunk_slice in divided.slices[n] for s in chunk_slice) for n in range(2)
    ] == [
        # By label: 0 2 4 6 8 10 12, then 1 3 5 7 9 11.
        [0, 3, 4, 7, 8, 11, 12],
        [1, 2, 5, 6, 9, 10],
    ]
    assert divided.entropies == pytest.approx((0.985228, 1.0))


def test_a_run_that_goes_on_keeps_what_was_decided(divide: Divide, files: list[str]) -> None:
    began = DataConfig(files=files, shards=3, shuffle="chunks", align=True)
    data, divided, _ = divide(earlier=began)
    assert (divided.placement, data.shuffle, data.align) == ("memory", "chunks", True)
    one_by_one = dataclasses.replace(began, shuffle="samples", align=False)
    data, divided, _ = divide(earlier=one_by_one)
    assert (divided.placement, data.shuffle, data.align) == ("memory", "samples", False)
    message = refusal(divide, DataError, earlier=one_by_one, free=100)
    assert "the samples are shuffled one by one (data.shuffle: samples), for which" in message


def test_one_by_one_without_room_is_refused(divide: Divide, files: list[str]) -> None:
    message = refusal(divide, DataError, shuffle="samples", free=1000)
    assert message == (
        f"{files[0]}, {files[1]}: the samples are shuffled one by one (data.shuffle: samples), for "
        "which they must be in memory; they need 832 B on a node that has 1 kB free, half of "
        "which may be used: use more nodes"
    )


@pytest.mark.parametrize("residency", ["memory", "node"])
def test_a_placement_without_room_is_refused(divide: Divide, residency: str) -> None:
    divide(residency=residency, free=13 * 64)
    message = refusal(divide, DataError, residency=residency, free=13 * 64 - 1)
    assert message.endswith(
        f"data.residency is {residency}, for which the samples need 832 B on a node that has 831 "
        "B free; use stream, or more nodes"
    )


def test_a_batch_larger_than_a_shard_is_refused(divide: Divide) -> None:
    divide(batch=4)
    assert "train.batch_size is 5, but a shard of " in refusal(divide, ConfigError, batch=5)


def test_dropping_all_of_a_shard_is_refused(divide: Divide, world: World, files: list[str]) -> None:
    section = DataConfig(files=files, shards=3, uneven="drop")
    train = TrainConfig(batch_size=3, update="alternating", discriminator_steps=2)
    config = Config(data=section, train=train)
    with pytest.raises(
        ConfigError, match=r"a step takes 6 samples of a shard and one of .* holds 4"
    ):
        assign_shards(world, config, open_source(world, section), None)
