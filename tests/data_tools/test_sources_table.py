"""docs/sources.md: every source that the tests convert, with its command and what comes of it.

What comes of it is compared pixel by pixel and label by label in the modules that the cases are
from. With HPCGAN_WRITE_PAGES set this test writes the page.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from conversions import Case, refusal

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"


_MODULES = {
    "Pictures": ("test_pictures", "test_picture_folders"),
    "Arrays": ("test_named_sources", "test_hdf5_sources"),
    "Records": ("test_tfrecord",),
}
_HEAD = """# Sources that were tried

Made by `tests/data_tools/test_sources_table.py`. The samples and labels of each source are compared
with what NumPy, Pillow, tifffile, h5py or TensorFlow put there, in files of one process and
of three ranks, which are the same byte for byte. Which genuine files were tried is in
[data.md](data.md).
"""


def _cases(place: Path, module: str) -> Iterator[tuple[str, Case]]:
    """Make a module's sources, and yield what each is and its case."""
    loaded = importlib.import_module(f"tests.data_tools.{module}")
    cases = loaded.CASES if hasattr(loaded, "CASES") else loaded.MAKERS
    for name, make in cases.items():
        where = place / module / name
        where.mkdir(parents=True)
        text = "" if isinstance(make, Case) else (make.__doc__ or "")
        case = make if isinstance(make, Case) else make(where)
        case.words = case.words.replace(f"{where}/", "")
        yield text.split("\n")[0].rstrip(".") or name.replace("_", " "), case


def _row(what: str, case: Case) -> str:
    """Return a row of the table."""
    shape = "x".join(map(str, case.images.shape[1:]))
    holds = f"{len(case.images)} of {shape} {case.images.dtype}"
    if case.labels is not None:
        of_one = "x".join(map(str, case.labels.shape[1:]))
        holds += f", labels {case.labels.dtype}{f' of {of_one}' if of_one else ''}"
    return _cells(what, f"`{case.words}`", holds, "; ".join(case.said))


def _cells(*cells: str) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


# --- what is refused -------------------------------------------------------------------------


def _channels_first() -> None:
    np.save("a.npy", np.zeros((4, 3, 32, 32), np.uint8))


def _volumes() -> None:
    np.save("a.npy", np.zeros((4, 8, 9, 10), np.uint8))


def _flattened() -> None:
    np.save("a.npy", np.zeros((4, 784), np.uint8))


def _too_large() -> None:
    np.save("a.npy", np.full((4, 8, 8), 1000, np.int32))


def _missing() -> None:
    np.save("a.npy", np.full((4, 8, 8), np.nan, np.float32))


def _objects() -> None:
    np.save("a.npy", np.array([{}], object), allow_pickle=True)


def _pickle() -> None:
    Path("cifar").mkdir()
    Path("cifar/data_batch_1").write_bytes(b"\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s.")


def _jetnet() -> None:
    with h5py.File("jets.hdf5", "w") as file:
        file["particle_features"] = np.zeros((4, 30, 4), np.float32)
        file["jet_features"] = np.zeros((4, 4), np.float32)


def _matlab() -> None:
    with h5py.File("a.mat", "w", userblock_size=512) as file:
        file["images"] = np.zeros((4, 3, 8, 8), np.uint8)
    with Path("a.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


def _labels_that_lose() -> None:
    np.savez("a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.array([2.0**24 + 1, 1.0]))


def _many_labels() -> None:
    np.savez("a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.array([[1, 1], [0, 2]]))


REFUSED: dict[str, tuple[Callable[[], None], str]] = {
    "Channels that seem to be first": (_channels_first, "a.npy"),
    "Volumes without channels, or pictures of ten": (_volumes, "a.npy"),
    "Flattened samples": (_flattened, "a.npy"),
    "A shape of another size": (_flattened, "a.npy --shape 27,28"),
    "Whole numbers beyond 255": (_too_large, "a.npy"),
    "NaN": (_missing, "a.npy"),
    "An array of Python objects": (_objects, "a.npy"),
    "CIFAR-10 for Python": (_pickle, "cifar"),
    "JetNet": (_jetnet, "jets.hdf5"),
    "MATLAB v7.3 without its layout": (_matlab, "a.mat"),
    "Labels that float32 does not hold": (_labels_that_lose, "a.npz"),
    "Several whole labels that are not one-hot": (_many_labels, "a.npz"),
    "An option that is for another format": (_flattened, "a.npy --grey"),
}


def _table(place: Path) -> str:
    """Return the part of the page about what is converted."""
    lines = [_HEAD]
    for title, modules in _MODULES.items():
        lines += [f"## {title}\n", _cells("source", "command", "OUT.h5 holds", "said")]
        lines.append("|---|---|---|---|")
        for module in modules:
            lines += [_row(*each) for each in _cases(place, module)]
        lines.append("")
    return "\n".join(lines)


def _refused(place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the part of the page about what is refused, each by itself in a new directory."""
    lines = ["## Refused\n", _cells("source", "command", "said"), "|---|---|---|"]
    for number, (what, (make, words)) in enumerate(REFUSED.items()):
        (place / f"{number}").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place / f"{number}")
            make()
            source, *options = words.split()
            lines.append(_cells(what, f"`{words}`", refusal(capsys, source, "o.h5", *options)))
    return "\n".join([*lines, ""])


def test_the_page_of_sources_is_what_the_tests_convert(tmp_path: Path, capsys) -> None:
    page = _table(tmp_path) + "\n" + _refused(tmp_path, capsys)
    if os.environ.get("HPCGAN_WRITE_PAGES"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
