"""HDF5 files as one array of samples, and what is said of files that cannot be that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcgan.config import DataConfig
from hpcgan.data.source import Source, list_files, open_source
from hpcgan.errors import DataError
from hpcgan.world import World

Open = Callable[..., Source]


def make(path: Path, **datasets: np.ndarray) -> str:
    """Write a data file and return its name."""
    with h5py.File(path, "w") as file:
        for name, array in datasets.items():
            file[name] = array
    return str(path)


def images(count: int, shape: tuple[int, ...] = (3, 2, 1), dtype: str = "uint8") -> np.ndarray:
    """Return ``count`` samples, no two values of which are next to their equal."""
    size = count * int(np.prod(shape))
    return (np.arange(size) % 251).astype(dtype).reshape(count, *shape)


@pytest.fixture
def opened(world: World) -> Open:
    """Return a function that opens files."""

    def open_them(*files: str, images: str = "images", labels: str | None = None) -> Source:
        return open_source(world, DataConfig(files=list(files), images=images, labels=labels))

    return open_them


@pytest.fixture
def refusal(opened: Open) -> Callable[..., str]:
    """Return a function that gives what is said of wrong files, and checks that it is one line."""

    def refuse(*files: str, **names: str) -> str:
        with pytest.raises(DataError) as caught:
            opened(*files, **names)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(3, 2, 1), (4, 3, 2, 2)])
def test_several_files_are_one_array_in_the_order_given(
    opened: Open, tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    parts = np.split(images(9, shape, dtype), [4, 5])
    names = ["b.h5", "a.h5", "c.h5"]
    files = [make(tmp_path / name, images=part) for name, part in zip(names, parts, strict=True)]
    source = opened(*files)
    assert (len(source), source.files, source.lengths) == (9, tuple(files), (4, 1, 4))
    assert (source.sample_shape, source.dtype) == (shape, dtype)
    assert source.sample_bytes == parts[0][0].nbytes
    assert [source.locate(sample) for sample in (0, 3, 4, 5, 8)] == [
        (0, 0),
        (0, 3),
        (1, 0),
        (2, 0),
        (2, 3),
    ]


def test_empty_files_among_others_hold_no_sample(opened: Open, tmp_path: Path) -> None:
    parts = np.split(images(4), [0, 3, 3])
    files = [make(tmp_path / f"{n}.h5", images=part) for n, part in enumerate(parts)]
    source = opened(*files)
    assert source.lengths == (0, 3, 0, 1)
    assert [source.locate(sample) for sample in range(4)] == [(1, 0), (1, 1), (1, 2), (3, 0)]


def test_chunks_are_those_of_the_files_or_as_many_as_make_a_mebibyte(
    opened: Open, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    pixels = np.zeros((1100, 32, 32, 1), np.uint8)  # 1 KiB a sample
    with h5py.File(path, "w") as file:
        file.create_dataset("small", data=pixels, chunks=(10, 32, 32, 1))
        file.create_dataset("large", data=np.repeat(pixels, 2, 0), chunks=(2000, 32, 32, 1))
        file.create_dataset("split", data=pixels, chunks=(600, 16, 32, 1))
        file["whole"] = pixels
    names = ("small", "large", "split", "whole")
    chunks = {name: opened(str(path), images=name).chunks for name in names}
    assert chunks == {"small": (1020,), "large": (2000,), "split": (600,), "whole": (1024,)}
    source = opened(str(path), images="small")
    assert source.chunk_offsets.tolist() == [0, 1020, 1100]
    both = opened(str(path), make(tmp_path / "b.h5", small=pixels[:3]), images="small")
    assert both.chunk_offsets.tolist() == [0, 1020, 1100, 1103]


def test_labels_are_read_from_all_files_in_order(opened: Open, tmp_path: Path) -> None:
    files = [
        make(tmp_path / f"{n}.h5", images=images(n + 1), labels=10 * n + np.arange(n + 1))
        for n in range(3)
    ]
    assert opened(*files, labels="labels").read_labels().tolist() == [0, 10, 11, 20, 21, 22]


def test_a_dataset_in_a_group_and_under_another_name_is_found(opened: Open, tmp_path: Path) -> None:
    file = make(tmp_path / "a.h5", **{"train/x": images(2), "train/y": np.arange(2)})
    assert len(opened(file, images="train/x", labels="train/y")) == 2


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_labels_may_be_integers_or_float32(opened: Open, tmp_path: Path, dtype: str) -> None:
    file = make(tmp_path / "a.h5", images=images(2), labels=np.zeros(2, dtype))
    assert opened(file, labels="labels").read_labels().dtype == dtype


def test_patterns_name_files_sorted_among_those_given(tmp_path: Path) -> None:
    for name in ("p10.h5", "p2.h5", "p1.h5", "sub/p3.h5", "x[1].h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(tmp_path / name) for name in ("x[1].h5", "p*.h5", "**/p3.h5")]
    found = [str(Path(name).relative_to(tmp_path)) for name in list_files(names)]
    # A file of that very name goes before the pattern.
    assert found == ["x[1].h5", "p1.h5", "p10.h5", "p2.h5", "sub/p3.h5"]


def test_variables_are_expanded_before_patterns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("p2.h5", "p1.h5", "q.h5"):
        (tmp_path / name).touch()
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    names = [str(tmp_path / name) for name in ("p1.h5", "p2.h5", "q.h5")]
    assert list_files(["${DATA}/p*.h5", "~/q.h5"]) == names
    with pytest.raises(DataError, match="is named twice"):
        list_files(["$DATA/q.h5", "~/q.h5"])


def test_a_pattern_without_a_file_and_a_file_named_twice_are_reported(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    pattern = str(tmp_path / "p*.h5")
    assert refusal(pattern) == f"{pattern}: no file has such a name (seen from {Path.cwd()})"
    file = make(tmp_path / "p1.h5", images=images(2))
    assert refusal(file, pattern) == f"{file}: is named twice in data.files; name each file once"


def test_a_missing_file_is_reported_with_where_it_was_looked_for(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    there = make(tmp_path / "a.h5", images=images(2))
    missing = tmp_path / "missing.h5"
    assert refusal(there, str(missing)) == f"{missing}: there is no such data file"
    assert refusal(there, "missing.h5") == (
        f"missing.h5: there is no such data file (seen from {Path.cwd()})"
    )
    assert refusal(str(tmp_path)).startswith(f"{tmp_path}: there is no such data file")


@pytest.mark.parametrize("content", [b"", b"name,age\n", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_not_hdf5_is_reported(
    refusal: Callable[..., str], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    assert refusal(str(path)).startswith(f"{path}: not readable as HDF5: ")


def test_a_truncated_file_is_reported(refusal: Callable[..., str], tmp_path: Path) -> None:
    file = make(tmp_path / "a.h5", images=images(1000))
    os.truncate(file, 5000)
    message = refusal(file)
    assert message.startswith(f"{file}: not readable as HDF5: ")
    assert "truncated file" in message


def test_a_file_that_may_not_be_read_is_reported(tmp_path: Path) -> None:
    closed = make(tmp_path / "a.h5", images=images(2))
    Path(closed).chmod(0)
    (tmp_path / "locked").mkdir()
    inside = make(tmp_path / "locked" / "a.h5", images=images(2))
    Path(inside).parent.chmod(0)
    words = [sys.executable, "-c", _WITHOUT_RIGHTS, closed, inside]
    done = subprocess.run(words, capture_output=True, text=True)
    Path(inside).parent.chmod(0o700)  # so that pytest can delete it
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{closed}: not readable as HDF5: [Errno 13]")
    assert second == f"{inside}: cannot be read: Permission denied"


# Root may read everything: so as nobody, once the libraries are there.
_WITHOUT_RIGHTS = """
import os, sys
from hpcgan.config import DataConfig
from hpcgan.data.source import open_source
from hpcgan.errors import DataError
from hpcgan.world import World
world = World()
if os.geteuid() == 0:
    path = os.path.dirname(sys.argv[1])
    while os.stat(path).st_mode & 0o777 == 0o700:  # what pytest made
        os.chmod(path, 0o755)
        path = os.path.dirname(path)
    os.seteuid(65534)
for file in sys.argv[1:]:
    try:
        open_source(world, DataConfig(files=[file]))
    except DataError as error:
        print(error)
if os.getuid() == 0:
    os.seteuid(0)
"""


def test_a_missing_dataset_is_reported_with_those_there(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    file = make(tmp_path / "a.h5", pictures=images(2), digits=np.arange(2))
    assert refusal(file) == (
        f"{file}: there is no dataset 'images'; its datasets are: digits, pictures"
    )
    assert refusal(file, images="pictures", labels="labels") == (
        f"{file}: there is no dataset 'labels'; its datasets are: digits, pictures"
    )


def test_a_group_is_no_dataset(refusal: Callable[..., str], tmp_path: Path) -> None:
    file = make(tmp_path / "a.h5", **{"images/train": images(2)})
    assert refusal(file) == f"{file}: there is no dataset 'images'; its datasets are: images/train"


def test_content_in_other_files_is_not_followed(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    other = make(tmp_path / "other.h5", images=images(2))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["linked"] = h5py.ExternalLink(other, "images")
        file.create_dataset(
            "raw", (2, 3, 2, 1), np.uint8, external=[(str(tmp_path / "raw"), 0, 12)]
        )
    assert refusal(str(path), images="linked") == (
        f"{path}: 'linked' is a link to another file; name that file instead"
    )
    assert refusal(str(path), images="raw") == (
        f"{path}: 'raw' keeps its content in files that are not HDF5; convert it"
    )


@pytest.mark.parametrize("shape", [(), (4,), (4, 3, 2), (2, 2, 2, 2, 2, 2), (4, 0, 2, 1)])
def test_a_shape_that_is_no_row_of_samples_is_reported(
    refusal: Callable[..., str], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    file = make(tmp_path / "a.h5", images=np.zeros(shape, np.uint8))
    said = f"{file}: dataset 'images' has shape {shape}; it must be (N, H, W, C) or (N, D, H, W, C)"
    hint = f"; hpcgan-data convert {file} OUT.h5 makes it so" if len(shape) == 3 else ""
    assert refusal(file) == said + hint


def test_files_without_any_sample_are_reported(refusal: Callable[..., str], tmp_path: Path) -> None:
    files = [make(tmp_path / f"{n}.h5", images=images(0)) for n in range(2)]
    assert refusal(*files) == f"{files[0]}, {files[1]}: there are no samples in 'images'"


@pytest.mark.parametrize("other", [images(3, (3, 3, 1)), images(3, (3, 2, 1), "float32")])
def test_files_that_disagree_are_both_named(
    refusal: Callable[..., str], tmp_path: Path, other: np.ndarray
) -> None:
    first, same = (make(tmp_path / name, images=images(2)) for name in ("a.h5", "b.h5"))
    last = make(tmp_path / "c.h5", images=other)
    assert refusal(first, same, last) == (
        f"{last}: 'images' holds {other.dtype} samples of shape {other.shape[1:]}, but "
        f"{first} holds uint8 of shape (3, 2, 1); all files must agree"
    )


def view(path: Path, parts: list[tuple[str, int]], rows: int) -> str:
    """Write a virtual dataset of the first samples of files, one after the other."""
    layout = h5py.VirtualLayout((rows, 3, 2, 1), np.uint8)
    first = 0
    for file, count in parts:
        whole = h5py.VirtualSource(file, "images", shape=(count, 3, 2, 1))
        layout[first : first + count] = whole
        first += count
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("images", layout)
    return str(path)


def test_a_view_of_other_files_that_holds_less_than_it_says_is_reported(
    opened: Open, refusal: Callable[..., str], tmp_path: Path
) -> None:
    make(tmp_path / "0.h5", images=images(4))
    make(tmp_path / "1.h5", images=images(5))
    assert len(opened(view(tmp_path / "v.h5", [("0.h5", 4), ("1.h5", 5)], 9))) == 9
    partly = view(tmp_path / "partly.h5", [("0.h5", 4)], 9)
    assert refusal(partly) == (
        f"{partly}: '/images' is a view of other files that fill 24 of its 54 values"
    )
    more = view(tmp_path / "more.h5", [("0.h5", 7)], 7)
    assert refusal(more) == f"{more}: a view of more of 'images' than {tmp_path / '0.h5'} holds"
    (tmp_path / "1.h5").unlink()
    message = refusal(str(tmp_path / "v.h5"))
    assert message.startswith(f"{tmp_path / 'v.h5'}: a view of ")
    assert "1.h5, which is not readable: " in message


HUGE = {
    "never written": {"shape": (10**15, 3, 2, 1)},
    "chunks never written": {"shape": (10**15, 3, 2, 1), "chunks": (100, 3, 2, 1)},
    "more values than int64": {"shape": (2**40, 2**20, 2**20, 1), "chunks": (1, 64, 64, 1)},
    "a chunk of many GiB": {"shape": (2**33, 3, 2, 1), "chunks": (2**30, 3, 2, 1)},
    "a chunk beyond the file": {
        "shape": (2, 3, 2, 1),
        "chunks": (2**28, 3, 2, 1),
        "maxshape": (None, 3, 2, 1),
    },
    "a large sample": {"shape": (1, 2**20, 2**20, 1), "compression": "gzip"},
}


@pytest.mark.parametrize("case", HUGE)
def test_more_samples_than_the_file_can_hold_are_reported(
    refusal: Callable[..., str], tmp_path: Path, case: str
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", dtype=np.uint8, **HUGE[case])
    message = refusal(str(path))
    assert message.startswith(f"{path}: '/images' claims ")
    assert message.endswith(" bytes cannot hold: it is damaged")


@pytest.mark.parametrize("chunks", [None, (1000,)])
def test_more_labels_than_the_file_can_hold_are_reported(
    refusal: Callable[..., str], tmp_path: Path, chunks: tuple[int, ...] | None
) -> None:
    path = tmp_path / "a.h5"
    pixels = np.zeros((10**5, 1, 1, 1), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=pixels, chunks=(10**4, 1, 1, 1), compression="gzip")
        file.create_dataset("labels", (10**5,), np.int64, chunks=chunks)
    if chunks is None:
        assert "'/labels' claims 800000 bytes" in refusal(str(path), labels="labels")
    with h5py.File(path, "r+") as file:
        del file["images"], file["labels"]
        file.create_dataset("images", (10**6, 1, 1, 1), np.uint8, chunks=(10**6, 1, 1, 1))
        file.create_dataset("labels", (10**6,), "S4000", chunks=(1,))
    assert "labels" in refusal(str(path), labels="labels")


def test_links_through_others_are_not_followed(refusal: Callable[..., str], tmp_path: Path) -> None:
    other = make(tmp_path / "other.h5", **{"sub/images": images(2)})
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group"] = h5py.ExternalLink(other, "sub")
        file["images"] = h5py.SoftLink("/group/images")
    for name in ("group/images", "/group/images", "images"):
        assert refusal(str(path), images=name).endswith("name that file instead")
    os.mkfifo(tmp_path / "pipe")
    assert "not readable" in refusal(view(tmp_path / "v.h5", [("pipe", 4)], 4))
