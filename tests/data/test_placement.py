"""The shards of a run: the same stream of samples wherever they are kept."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data.assignment import ShardAssignment, assign_shards
from hpcgan.data.placement import InMemoryShard, opened_shards
from hpcgan.data.shards import epoch_order
from hpcgan.data.source import open_source
from hpcgan.errors import ConfigError, DataError
from hpcgan.world import World

pytestmark = pytest.mark.usefixtures("small_chunks")

TOTAL = 40  # samples of ``files``


def streams(
    world: World, count: int, start: int = 0, batch: int = 2, turns: int = 1, **data
) -> list[list[int]]:
    """Return what the shards give: ``count`` numbers of samples of each."""
    section = DataConfig(**{"shards": 3, "labels": "labels", **data})
    config = Config(
        data=section, seed=5, train=TrainConfig(batch_size=batch, discriminator_steps=turns)
    )
    source = open_source(world, section)
    config, assignment = assign_shards(world, config, source, None)
    with opened_shards(world, config, source, assignment) as of_seed:
        shards = of_seed(config.seed)
        taken = []
        for shard in shards.values():
            out = np.empty((count, *source.sample_shape), source.dtype)
            shard.take(start, out)
            assert (out == out[:, :1, :1]).all()
            taken.append(out[:, 0, 0, 0].tolist())
    return taken


@pytest.mark.parametrize("partition", ["contiguous", "strided", "balanced"])
@pytest.mark.parametrize("uneven", ["wrap", "drop"])
def test_memory_node_and_stream_give_the_same(
    world: World, files: list[str], tmp_path: Path, partition: str, uneven: str
) -> None:
    same = {"files": files, "partition": partition, "uneven": uneven, "shuffle": "chunks"}
    same |= {"shuffle_chunks": 2, "align": None if partition == "balanced" else True}
    memory = streams(world, 60, 7, residency="memory", **same)
    assert streams(world, 60, 7, residency="node", **same) == memory
    assert streams(world, 60, 7, residency="stream", threads=3, **same) == memory
    staged = tmp_path / "local" / "disk"
    assert streams(world, 60, 7, residency="stream", stage=str(staged), **same) == memory
    assert list(staged.iterdir()) == []


@pytest.mark.parametrize("shuffle", ["samples", "chunks"])
def test_every_sample_is_taken_once_a_pass(world: World, files: list[str], shuffle: str) -> None:
    for shard in streams(world, TOTAL, files=files, shards=1, residency="memory", shuffle=shuffle):
        assert sorted(shard) == list(range(TOTAL))
    three = streams(world, 13, files=files, residency="memory", shuffle=shuffle, align=False)
    # Shards of 13, 13 and 14: all of the first two, all but one of the third.
    assert len({sample for shard in three for sample in shard}) == TOTAL - 1


def test_each_shard_has_an_order_of_its_own_that_the_seed_gives(
    world: World, files: list[str]
) -> None:
    taken = streams(world, 13, files=files, residency="memory")
    begins = (0, 13, 26)
    for shard, (begin, size) in enumerate(zip(begins, (13, 13, 14), strict=True)):
        expected = begin + epoch_order(5, shard, 0, size)[:13]
        assert taken[shard] == expected.tolist()


def test_a_pass_drops_what_does_not_fill_the_batches_of_all_turns_of_d(
    world: World, files: list[str]
) -> None:
    same = {"files": files, "shards": 1, "residency": "memory", "uneven": "drop"}
    (taken,) = streams(world, 72, batch=3, turns=2, **same)
    orders = [epoch_order(5, 0, epoch, TOTAL)[:36] for epoch in (0, 1)]
    assert taken == np.concatenate(orders).tolist()


@pytest.mark.parametrize("residency", ["memory", "stream"])
def test_a_short_shard_begins_its_next_pass_while_a_long_one_is_in_its_first(
    world: World, files: list[str], monkeypatch: pytest.MonkeyPatch, residency: str
) -> None:
    # A chunk a file: shards of 30, 1 and 9 samples.
    monkeypatch.setattr("hpcgan.data.source.default_chunk", lambda sample_bytes, samples: 32)
    same = {"files": files, "residency": residency, "align": True, "shuffle": "chunks"}
    long, one, short = streams(world, 30, batch=1, **same)
    assert sorted(long) == list(range(30))
    assert one == [30] * 30
    for begin in (0, 9, 18):
        assert sorted(short[begin : begin + 9]) == list(range(31, 40))


def test_a_file_that_holds_nan_is_reported_when_it_is_loaded(world: World, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    values = np.zeros((10, 2, 2, 1), np.float32)
    values[6, 0, 1, 0] = np.nan
    with h5py.File(path, "w") as file:
        file["images"] = values
        file["labels"] = np.zeros(10, np.int32)
    with pytest.raises(DataError) as caught:
        streams(world, 1, files=[str(path)], shards=2, residency="memory")
    assert caught.value.on_all_ranks
    assert str(caught.value).startswith(f"{path}: sample 6 of 'images' holds values that are not")


def test_a_disk_too_small_to_stage_is_reported_and_left_empty(
    world: World, files: list[str], tmp_path: Path
) -> None:
    staged = tmp_path / "disk"
    done = subprocess.run(
        [sys.executable, "-c", _STAGED_ON_A_FULL_DISK, str(staged), *files],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{files[0]}: cannot be staged to {staged}/hpcgan-stage-PID-0 (data.stage): File too "
        "large\n[]\n"
    )


# A limit to the size of files stands for a full disk: the system refuses the same writes.
_STAGED_ON_A_FULL_DISK = """
import os, resource, sys
from hpcgan.config import Config, DataConfig, TrainConfig
from hpcgan.data.assignment import assign_shards
from hpcgan.data.placement import InMemoryShard, opened_shards
from hpcgan.data.source import open_source
from hpcgan.errors import DataError
from hpcgan.world import World
world = World()
stage, *files = sys.argv[1:]
data = DataConfig(files=files, shards=1, residency="stream", stage=stage)
config = Config(data=data, train=TrainConfig(batch_size=1))
source = open_source(world, config.data)
config, assignment = assign_shards(world, config, source, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    with opened_shards(world, config, source, assignment):
        raise AssertionError
except DataError as error:
    assert error.on_all_ranks
    print(str(error).replace(str(os.getpid()), "PID"))
print(os.listdir(stage))
"""


def test_what_a_killed_run_left_is_deleted_and_what_a_live_one_holds_is_not(
    world: World, files: list[str], tmp_path: Path
) -> None:
    left, held = (tmp_path / "disk" / f"hpcgan-stage-{pid}-0" for pid in (1, 2))
    for path in (left, held):
        path.mkdir(parents=True)
        (path / "000000-0.h5").write_bytes(b"x")
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    streams(world, 1, files=files, residency="stream", stage=str(tmp_path / "disk"))
    os.close(lock)
    assert [path.name for path in (tmp_path / "disk").iterdir()] == [held.name]


def test_a_staged_run_does_not_need_the_originals_any_more_and_copies_only_its_chunks(
    world: World, tmp_path: Path
) -> None:
    path, disk = tmp_path / "a.h5", tmp_path / "disk"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 1), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=pixels, chunks=(4, 64, 64, 1))
    section = DataConfig(files=[str(path)], shards=4, residency="stream", stage=str(disk))
    config = Config(data=section, train=TrainConfig(batch_size=2))
    source = open_source(world, section)
    config, assignment = assign_shards(world, config, source, None)
    own = of_one_shard(assignment, 1)
    with opened_shards(world, config, source, own) as of_seed:
        shards = of_seed(config.seed)
        path.unlink()
        (copy,) = disk.glob("*/*.h5")
        assert copy.stat().st_blocks * 512 < 2 * pixels.nbytes / 4
        out = np.empty((16, 64, 64, 1), np.uint8)
        shards[1].take(0, out)
        expected = pixels[16:32].reshape(16, -1)
        assert sorted(map(bytes, out.reshape(16, -1))) == sorted(map(bytes, expected))


def test_the_directory_of_copies_may_be_named_by_a_variable(
    world: World, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISK", str(tmp_path / "disk"))
    streams(world, 8, 7, files=files, residency="stream", stage="${DISK}/job")
    assert list((tmp_path / "disk" / "job").iterdir()) == []
    with pytest.raises(ConfigError, match=r"\$NO_DISK/job: the variable NO_DISK is not set"):
        streams(world, 8, 7, files=files, residency="stream", stage="$NO_DISK/job")


def of_one_shard(assignment: ShardAssignment, shard: int) -> ShardAssignment:
    """Return an assignment as a rank sees it that hosts one shard."""
    slices, own = {shard: assignment.slices[shard]}, range(shard, shard + 1)
    return dataclasses.replace(assignment, hosted=own, read=own, stored=(shard,), slices=slices)


def test_an_order_is_drawn_once_an_epoch() -> None:
    drawn: list[int] = []

    def order(epoch: int) -> np.ndarray:
        drawn.append(epoch)
        return np.arange(10)

    shard, out = InMemoryShard(np.arange(10.0), order, 10), np.empty(4)
    for start in range(0, 20, 4):
        shard.take(start, out)
    assert drawn == [0, 1]


def test_data_for_which_a_disk_has_no_room_are_not_staged(
    world: World, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=7)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(DataError, match=r"the data to stage need \d+ bytes, and 7 are free"):
        streams(world, 1, files=files, residency="stream", stage=str(tmp_path / "disk"))
    assert list((tmp_path / "disk").iterdir()) == []
