"""Reading chunks: the same samples as HDF5 gives, whatever the layout; what damage says."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcgan.config import DataConfig
from hpcgan.data.chunks import ChunkReader, Places
from hpcgan.data.source import open_source
from hpcgan.errors import DataError
from hpcgan.world import World

SHAPE = (4, 3, 2)
COUNT = 23
CHUNK = 5

Reader = Callable[..., ChunkReader]


def samples(dtype: str) -> np.ndarray:
    """Return samples that do not repeat."""
    values = np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE))
    return (values / 3).astype(dtype) if dtype.endswith("f4") else values.astype(dtype)


@pytest.fixture
def reader(world: World) -> Reader:
    """Return a function that opens files for reading."""

    def open_for_reading(*files: object, images: str = "images") -> ChunkReader:
        source = open_source(world, DataConfig(files=[str(f) for f in files], images=images))
        return ChunkReader(source, range(len(source.files)))

    return open_for_reading


LAYOUTS = {
    "in one piece": {},
    "chunked": {"chunks": (CHUNK, *SHAPE)},
    "gzip": {"chunks": (CHUNK, *SHAPE), "compression": "gzip"},
    "gzip, shuffled": {"chunks": (CHUNK, *SHAPE), "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": (CHUNK, *SHAPE), "compression": "lzf"},
    "with checksums": {"chunks": (CHUNK, *SHAPE), "fletcher32": True},
    "chunks of parts of samples": {"chunks": (CHUNK, 2, 3, 2), "compression": "gzip"},
}
DIRECT = {"in one piece", "chunked", "gzip", "gzip, shuffled"}


@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f4"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_samples(
    reader: Reader, tmp_path: Path, layout: str, dtype: str
) -> None:
    whole = samples(dtype)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=whole, **LAYOUTS[layout])
    opened = reader(path)
    is_direct = layout in DIRECT and dtype != ">f4"
    assert (opened.places[0] is not None) is is_direct
    read = opened.read(range(COUNT))
    assert read.dtype == whole.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, whole)


@pytest.fixture(scope="module")
def two_files(world: World, tmp_path_factory: pytest.TempPathFactory):
    """Return a reader of two files, one of them compressed, and their samples."""
    directory = tmp_path_factory.mktemp("two")
    whole = np.concatenate([samples("<f4"), samples("<f4") + 1])
    files = [str(directory / f"{n}.h5") for n in range(2)]
    for file, part, layout in zip(files, np.split(whole, 2), ("chunked", "gzip"), strict=True):
        with h5py.File(file, "w") as opened:
            opened.create_dataset("images", data=part, **LAYOUTS[layout])
    source = open_source(world, DataConfig(files=files))
    return ChunkReader(source, range(2)), whole


@settings(max_examples=100)
@given(st.integers(0, 1), st.lists(st.integers(0, COUNT - 1), min_size=1), st.integers(1, 7))
def test_any_chunk_slice_holds_its_samples(
    two_files, file: int, rows: list[int], step: int
) -> None:
    reader, whole = two_files
    first = file * COUNT
    chosen = first + np.unique(rows)
    np.testing.assert_array_equal(reader.read(chosen), whole[chosen])
    stepped = range(int(chosen[0]), int(chosen[-1]) + 1, step)
    np.testing.assert_array_equal(reader.read(stepped), whole[list(stepped)])


def test_many_threads_read_what_one_does(two_files) -> None:
    reader, whole = two_files
    slices = [range(n, n + 1) for n in range(len(whole))] * 20
    with ThreadPoolExecutor(8) as threads:
        for chunk_slice, read in zip(
            slices,
            threads.map(lambda chunk_slice: reader.read(chunk_slice).copy(), slices),
            strict=True,
        ):
            np.testing.assert_array_equal(read, whole[chunk_slice.start : chunk_slice.stop])


def test_chunks_never_written_hold_the_fill_value(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        array = file.create_dataset(
            "images", (COUNT, *SHAPE), np.uint8, chunks=(CHUNK, *SHAPE), fillvalue=7
        )
        array[:CHUNK] = 1
    read = reader(path).read(range(COUNT))
    assert (read[:CHUNK] == 1).all()
    assert (read[CHUNK:] == 7).all()


def test_a_file_with_a_block_of_its_users_before_the_content(
    reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("images", data=samples("u1"), **LAYOUTS["chunked"])
    np.testing.assert_array_equal(reader(path).read(range(COUNT)), samples("u1"))


def test_a_view_of_other_files_gives_their_samples_and_says_when_one_is_gone(
    reader: Reader, tmp_path: Path
) -> None:
    whole = samples("u1")
    layout = h5py.VirtualLayout(whole.shape, np.uint8)
    for number, rows in enumerate((slice(0, 10), slice(10, COUNT))):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["images"] = whole[rows]
        part = h5py.VirtualSource(f"{number}.h5", "images", shape=whole[rows].shape)
        layout[rows] = part
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_virtual_dataset("images", layout)
    opened = reader(tmp_path / "v.h5")
    np.testing.assert_array_equal(opened.read(range(COUNT)), whole)
    (tmp_path / "1.h5").unlink()
    np.testing.assert_array_equal(opened.read(range(10)), whole[:10])
    with pytest.raises(DataError) as caught:
        opened.read(range(8, 12))
    assert str(caught.value) == (
        f"{tmp_path / 'v.h5'}: samples 8 to 11 of 'images' cannot be read: it is a view of "
        f"{tmp_path / '1.h5'}, which is gone"
    )


@pytest.mark.parametrize(("code", "name"), [("Blosc", "blosc"), ("Zstd", "zstd")])
def test_filters_of_hdf5plugin_are_found(
    reader: Reader, tmp_path: Path, code: str, name: str
) -> None:
    import hdf5plugin

    path = tmp_path / f"{name}.h5"
    with h5py.File(path, "w") as file:
        chosen = getattr(hdf5plugin, code)()
        file.create_dataset("images", data=samples("u1"), chunks=(CHUNK, *SHAPE), **chosen)
    np.testing.assert_array_equal(reader(path).read(range(COUNT)), samples("u1"))


def refusal(reader: ChunkReader, chunk_slice: range) -> str:
    """Return what is said of a chunk slice that cannot be read; check that it is one line."""
    with pytest.raises(DataError) as caught:
        reader.read(chunk_slice)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, layout: str, whole: np.ndarray) -> Path:
    """Write samples in a layout."""
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=whole, **LAYOUTS[layout])
    return path


def test_a_file_that_is_gone_or_cut_in_mid_run_is_reported(reader: Reader, tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", "chunked", samples("u1"))
    opened = reader(path)
    places = opened.places[0]
    assert places is not None
    os.truncate(path, int(places.offsets[2]))
    np.testing.assert_array_equal(opened.read(range(10)), samples("u1")[:10])
    assert refusal(opened, range(12, 15)) == (
        f"{path}: samples 12 to 14 of 'images' cannot be read: the file ends before them: it is "
        "truncated"
    )
    path.unlink()
    assert refusal(opened, range(3)) == (
        f"{path}: samples 0 to 2 of 'images' cannot be read: No such file or directory"
    )


def test_a_file_that_is_gone_when_hdf5_reads_it_is_reported(reader: Reader, tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", "lzf", samples("u1"))
    opened = reader(path)
    path.unlink()
    message = refusal(opened, range(3))
    assert message.startswith(f"{path}: samples 0 to 2 of 'images' cannot be read: ")


@pytest.mark.parametrize("layout", ["gzip", "with checksums"])
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_damaged_chunk_is_reported(
    reader: Reader, tmp_path: Path, layout: str, place: float
) -> None:
    path = write(tmp_path / "a.h5", layout, samples("u1"))
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + round(place * (chunk.size - 1))] ^= 0x10
    path.write_bytes(content)
    opened = reader(path)
    np.testing.assert_array_equal(opened.read(range(5)), samples("u1")[:5])
    message = refusal(opened, range(5, 10))
    assert message.startswith(f"{path}: samples 5 to 9 of 'images' cannot be read: ")


def test_a_chunk_that_grows_beyond_its_size_is_refused_before_it_fills_the_memory(
    reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        array = file.create_dataset("images", (CHUNK, *SHAPE), np.uint8, **LAYOUTS["gzip"])
        array.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(10**6)))
    message = refusal(reader(path), range(CHUNK))
    assert message.endswith("a chunk is damaged: it holds 121 bytes, not 120")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_reported_with_its_row(
    reader: Reader, tmp_path: Path, bad: float
) -> None:
    whole = samples("<f4")
    whole[13, 1, 2, 0] = bad
    first = write(tmp_path / "a.h5", "chunked", samples("<f4"))
    second = write(tmp_path / "b.h5", "gzip", whole)
    opened = reader(first, second)
    assert opened.read(range(COUNT + 10, COUNT + 13)).shape == (3, *SHAPE)
    assert refusal(opened, range(COUNT + 10, COUNT + 15)) == (
        f"{second}: sample 13 of 'images' holds values that are not finite; hpcgan-data verify "
        "lists all of them"
    )


def test_large_values_are_finite(reader: Reader, tmp_path: Path) -> None:
    whole = np.full((COUNT, *SHAPE), np.finfo(np.float32).max, np.float32)
    path = write(tmp_path / "a.h5", "chunked", whole)
    np.testing.assert_array_equal(reader(path).read(range(COUNT)), whole)


def test_the_bytes_that_hold_samples_are_found_in_whole_chunks_or_in_one_piece() -> None:
    chunked = Places(4, np.array([100, 300, 200]), np.array([10, 12, 11]), [1])
    assert chunked.find(0, 3, 8) == [(100, 110)]
    assert chunked.find(3, 4, 8) == [(100, 110), (300, 312)]
    assert chunked.find(8, 8, 8) == [(200, 211)]
    whole = Places(40, np.array([96]), np.array([320]), [])
    assert whole.find(0, 39, 8) == [(96, 416)]
    assert whole.find(3, 5, 8) == [(120, 144)]
