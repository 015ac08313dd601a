"""What holds pictures: folders, archives and databases, from one process and from three."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest
from conversions import Case, Converted, convert_all
from picture_cases import pictures, saved
from PIL import Image

RNG = np.random.default_rng(18)
COLOUR = RNG.integers(0, 256, (6, 5, 3), np.uint8)
OTHER = RNG.integers(0, 256, (6, 5, 3), np.uint8)

NAMES = ("2/b.png", "10/x/y/c.png", "10/d.png", "1/a.png")
SAID = (
    "3 classes: 0 1: 1, 1 2: 1, 2 10: 2",
    "left out: hidden: ",
    "left out: no picture: 1 (10/notes.txt)",
    "left out: folder without pictures: 2 (3, 4)",
    "left out: picture beside the folders of classes: 1 (beside.png)",
)


def fill(place: Path) -> dict[str, np.ndarray]:
    """Write pictures in nested folders beside all that is none, and return them by name."""
    pixels = {name: RNG.integers(0, 256, (4, 4, 3), np.uint8) for name in NAMES}
    for name, each in pixels.items():
        saved(place / name, each)
    for name in (".hidden/h.png", "1/._a.png", "__MACOSX/1/a.png", "beside.png"):
        saved(place / name, COLOUR)
    (place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (place / "10/notes.txt").write_text("notes")
    (place / "3").mkdir()
    (place / "4/inside").mkdir(parents=True)
    return pixels


def nested(place: Path) -> Case:
    """Classes of numbers, pictures at any depth, links in a circle, and what is no picture."""
    pixels = fill(place / "nested")
    (place / "nested/10/circle").symlink_to("..")
    (place / "nested/1/gone").symlink_to("nowhere")
    order = ["1/a.png", "2/b.png", "10/d.png", "10/x/y/c.png"]
    return pictures(
        ["nested"],
        np.stack([pixels[name] for name in order]),
        np.array([0, 1, 2, 2], np.int32),
        (
            *SAID,
            "left out: link to a folder that is read already: 1 (10/circle)",
            "left out: neither file nor folder: 1 (1/gone)",
        ),
    )


def zipped(place: Path) -> Case:
    """The same in a .zip, below one folder."""
    pixels = fill(place / "z/top")
    with zipfile.ZipFile(place / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((place / "z").rglob("*"), reverse=True):
            archive.write(path, path.relative_to(place / "z"))
    order = ["1/a.png", "2/b.png", "10/d.png", "10/x/y/c.png"]
    said = (*SAID, "all files are in top/, which is taken for the folder, not for a class")
    images = np.stack([pixels[name] for name in order])
    return pictures(["a.zip"], images, np.array([0, 1, 2, 2], np.int32), said)


def tarred(place: Path) -> Case:
    """The same in a compressed .tar, with a later file of the same name, in its own order."""
    pixels = fill(place / "t")
    with tarfile.open(place / "a.tar.xz", "w:xz") as archive:
        old = tarfile.TarInfo("./2/b.png")
        archive.addfile(old, io.BytesIO())
        for name in NAMES:
            archive.add(place / "t" / name, f"./{name}")
        for path in sorted((place / "t").rglob("*")):
            if str(path.relative_to(place / "t")) not in NAMES:
                archive.add(path, f"./{path.relative_to(place / 't')}", recursive=False)
    return pictures(
        ["a.tar.xz"],
        np.stack([pixels[name] for name in NAMES]),
        np.array([1, 2, 2, 0], np.int32),
        (
            *SAID,
            "samples in the order of the archive",
            "left out: replaced by a later file of its name in the archive: 1 (2/b.png)",
        ),
    )


def stylegan(place: Path) -> Case:
    """StyleGAN's .zip: folders that are no classes, and dataset.json."""
    content = io.BytesIO()
    Image.fromarray(COLOUR).save(content, "png")
    other = io.BytesIO()
    Image.fromarray(OTHER).save(other, "png")
    with zipfile.ZipFile(place / "s.zip", "w") as archive:
        archive.writestr("00000/img00000000.png", content.getvalue())
        archive.writestr("00001/img00001000.png", other.getvalue())
        archive.writestr(
            "dataset.json",
            '{"labels": [["00001/img00001000.png", 3], ["00000/img00000000.png", 7]]}',
        )
    said = ("labels from StyleGAN's dataset.json; its folders are no classes",)
    return pictures(["s.zip"], np.stack([COLOUR, OTHER]), np.array([7, 3], np.int32), said)


def lsun(place: Path) -> Case:
    """LMDB with WebP under keys that are no text, and one value that is no picture."""
    arrays = RNG.integers(0, 256, (7, 6, 5, 3), np.uint8)
    with lmdb.open(str(place / "lsun")) as database, database.begin(write=True) as writing:
        for number, each in reversed(list(enumerate(arrays))):
            content = io.BytesIO()
            Image.fromarray(each).save(content, "webp", lossless=True)
            writing.put(b"\xff%d" % number, content.getvalue())
        writing.put(b"__len__", b"7")
    return pictures(["lsun"], arrays, said=("left out: no picture: 1 (__len__)",))


def broken(place: Path) -> Case:
    """Half a picture and one of another sort among whole ones."""
    saved(place / "broken/a.png", COLOUR)
    saved(place / "broken/b.png", OTHER)
    whole = (place / "broken/a.png").read_bytes()
    (place / "broken/half.png").write_bytes(whole[: len(whole) // 2])
    (place / "broken/page.jpg").write_text("<html>404</html>")
    return pictures(
        ["broken", "--skip-broken"],
        np.stack([COLOUR, OTHER]),
        said=("left out: cannot be read: 2 (half.png, page.jpg)",),
    )


def listed(place: Path) -> Case:
    """Labels of a table: texts by the names of the pictures, in any order."""
    saved(place / "listed/x/a.png", COLOUR)
    saved(place / "listed/y/b.png", OTHER)
    (place / "kinds.csv").write_text("file,energy,kind\nb.png,2.5,photon\na.png,1,electron\n")
    return pictures(
        ["listed", "--labels", f"{place}/kinds.csv:kind"],
        np.stack([COLOUR, OTHER]),
        np.array([0, 1], np.int32),
        said=("2 classes: 0 electron: 1, 1 photon: 1", "labels of 2 texts became classes"),
    )


def vectors(place: Path) -> Case:
    """Labels of a table: two numbers for each picture."""
    saved(place / "listed/a.png", COLOUR)
    saved(place / "listed/b.png", OTHER)
    (place / "values.csv").write_text("b.png,2.5,-3\na.png,1,4\n")
    return pictures(
        ["listed", "--labels", f"{place}/values.csv"],
        np.stack([COLOUR, OTHER]),
        np.array([[1, 4], [2.5, -3]], np.float32),
        said=("labels from 1 to 2.5, -3 to 4",),
    )


ALL = (nested, zipped, tarred, stylegan, lsun, broken, listed, vectors)
CASES: dict[str, Callable[[Path], Case]] = {each.__name__: each for each in ALL}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Return all cases, converted."""
    return convert_all(tmp_path_factory.mktemp("folders"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_samples_are_what_other_programs_read(converted: Converted, name: str) -> None:
    converted.check(name)


def test_files_beside_the_results(converted: Converted) -> None:
    for ranks in ("one", "three"):
        place = converted.place / ranks
        left = {path.name for path in place.iterdir()}
        assert left == {f"{name}.h5" for name in CASES} | {"broken.skipped.txt"}
        assert (place / "broken.skipped.txt").read_text() == "half.png\npage.jpg\n"
    with h5py.File(converted.place / "one" / "nested.h5") as file:
        assert list(file["labels"].attrs["classes"]) == ["1", "2", "10"]
