"""``hpcgan-data inspect`` and ``verify``: what files hold, and what is wrong with them."""

from __future__ import annotations

import os
import random
import signal
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from data_tools import check_file, cli, verify
from hpcgan import hdf5

COUNT = 10
SHAPE = (4, 3, 1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return tmp_path


def make(name: str, dtype: str = "u1", **options) -> Path:
    """Write a file of samples in chunks of 4, with labels."""
    values = np.arange(COUNT * 12).reshape(COUNT, *SHAPE).astype(dtype)
    with h5py.File(name, "w") as file:
        chunks = {"chunks": (4, *SHAPE)} | options
        file.create_dataset("images", data=values, **chunks)
        file["labels"] = np.arange(COUNT) % 3
    return Path(name)


def said(capsys, *words: object, status: int = 0) -> list[str]:
    """Return the lines that a command prints."""
    assert cli.main([str(word) for word in words]) == status
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return output.out.splitlines()


def test_inspect_tells_what_a_file_holds(here: Path, capsys) -> None:
    path = make("a.h5", compression="gzip", shuffle=True)
    with h5py.File(path, "r+") as file:
        file["labels"].attrs["classes"] = ["ant", "bee", "cow"]
        file["labels"][0] = 1
        # The least and the largest value are in the second of three chunks.
        file["images"][0, 0, 0, 0] = 61
        file["images"][5, 0, :2, 0] = [200, 0]
        stored = file["images"].id.get_storage_size()
    assert said(capsys, "inspect", path) == [
        f"a.h5: {path.stat().st_size} bytes",
        "  images: 10 samples (4, 3, 1) uint8",
        f"    chunks (4, 4, 3, 1) of 48 bytes; shuffle, gzip, {120 / stored:.2f} times smaller",
        "    values from 0 to 200, mean 60.667",
        "    used as (H, W, C), scaled to -1 to 0.569",
        "  labels: (10,) int64",
        "    3 different: 0 (ant): 3, 1 (bee): 4, 2 (cow): 3",
    ]


def test_inspect_tells_of_conditions_volumes_and_draws(here: Path, capsys) -> None:
    with h5py.File("v.h5", "w") as file:
        file["x"] = np.linspace(0, 2, 5 * 2 * 3 * 4, dtype="f4").reshape(5, 2, 3, 4, 1)
        file["x"].attrs["values"] = "scale:0.5,0"
        file["e"] = np.array([1, 2, 3, 4, 10], "f4")
    lines = said(capsys, "inspect", "v.h5", "--images", "x", "--labels", "e", "--preview", "p.png")
    assert lines[1:] == [
        "  x: 5 samples (2, 3, 4, 1) float32",
        "    in one piece; no compression",
        "    values = scale:0.5,0",
        "    values from 0 to 2, mean 1",
        "    used as (D, H, W, C), values as they are; in the source from 0 to 4",
        "  e: (5,) float32",
        "    from 1 to 10, mean 4",
    ]
    assert Image.open("p.png").size == (3 * 4, 2 * 3)


def test_inspect_refuses_what_is_not_there(here: Path, capsys) -> None:
    make("a.h5")
    for words, line in {
        ("none.h5",): f"none.h5: there is no such data file (seen from {here})",
        ("a.h5", "--images", "x"): (
            "a.h5: there is no dataset 'x'; its datasets are: images, labels"
        ),
    }.items():
        assert cli.main(["inspect", *words]) == 2
        assert capsys.readouterr().err == f"hpcgan-data: {line}\n"


def test_whole_files_are_ok(here: Path, capsys) -> None:
    make("a.h5")
    make("b.h5", compression="gzip")
    assert said(capsys, "verify", "a.h5", "b.h5") == [
        "a.h5: ok: 10 samples, (4, 3, 1) uint8 with labels int64",
        "b.h5: ok: 10 samples, (4, 3, 1) uint8 with labels int64",
        "note: exact copies of other samples: 10 (b.h5 0 of a.h5 0, b.h5 1 of a.h5 1, b.h5 2 of "
        "a.h5 2, ...)",
    ]


def test_fill_values_single_values_and_copies_are_named(here: Path, capsys) -> None:
    make("a.h5", "f4")
    make("b.h5", "f4")
    with h5py.File("a.h5", "r+") as file:
        file["images"].attrs["_FillValue"] = np.float32(-999)
        file["images"][3, 1, 1, 0] = -999
        file["images"][4, 0, 0, 0] = 9.96920996838687e36  # netCDF's own
        file["images"][8] = 0.5
        file["images"][9] = 0.5
    with h5py.File("b.h5", "r+") as file:
        file["images"][:3] += 0.25
        file["images"][5] = file["images"][7]
        file["images"][8:] += 0.125
    lines = said(capsys, "verify", "a.h5", "b.h5", status=1)
    assert lines == [
        "a.h5: sample 3 of 'images' holds fill values, which stand for missing ones",
        "a.h5: sample 4 of 'images' holds fill values, which stand for missing ones",
        "a.h5: note: samples of 'images' with a single value in all places: 2, the first is 8",
        "b.h5: ok: 10 samples, (4, 3, 1) float32 with labels int64",
        # 3 and 4 of a.h5 were changed; 6, 7 are the same in both, and b.h5's 5 is its 7.
        "note: exact copies of other samples: 4 (a.h5 9 of a.h5 8, b.h5 5 of a.h5 7, b.h5 6 of "
        "a.h5 6, ...)",
    ]
    # Neither single values nor copies are wrong by themselves.
    assert said(capsys, "verify", "b.h5")[-1] == (
        "note: exact copies of other samples: 1 (b.h5 7 of b.h5 5)"
    )


def test_every_kind_of_wrong_file_is_listed(here: Path, capsys) -> None:
    make("good.h5", "f4")
    Path("text.h5").write_text("no HDF5")
    make("cut.h5", "f4")
    os.truncate("cut.h5", Path("cut.h5").stat().st_size - 100)
    make("flipped.h5", "f4", compression="gzip")
    with h5py.File("flipped.h5") as file:
        chunk = file["images"].id.get_chunk_info(1)
    content = bytearray(Path("flipped.h5").read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x40
    Path("flipped.h5").write_bytes(content)
    make("nan.h5", "f4")
    with h5py.File("nan.h5", "r+") as file:
        file["images"][7, 1, 1, 0] = np.nan
        file["images"][9, 0, 0, 0] = -np.inf
    make("labels.h5", "f4")
    with h5py.File("labels.h5", "r+") as file:
        del file["labels"]
        file["labels"] = np.arange(COUNT - 1)
    make("negative.h5", "f4")
    with h5py.File("negative.h5", "r+") as file:
        file["labels"][5] = -1
    make("bytes.h5")
    with h5py.File("unwritten.h5", "w") as file:
        array = file.create_dataset("images", (COUNT, *SHAPE), "f4", chunks=(4, *SHAPE))
        array[:4] = 1
        file["labels"] = np.arange(COUNT)
    with h5py.File("claims.h5", "w") as file:
        file.create_dataset("images", (10**15, *SHAPE), "f4", chunks=(4, *SHAPE))
    with h5py.File("doubles.h5", "w") as file:
        file["images"] = np.zeros((2, 3, 3, 1))
    with h5py.File("empty.h5", "w") as file:
        file["images"] = np.zeros((0, *SHAPE), "f4")
    names = "good text cut flipped nan labels negative bytes unwritten claims doubles empty none"
    lines = said(capsys, "verify", *(f"{name}.h5" for name in names.split()), status=1)
    starts = [
        "good.h5: ok: 10 samples, (4, 3, 1) float32 with labels int64",
        "text.h5: not readable as HDF5: ",
        "cut.h5: not readable as HDF5: ",
        "flipped.h5: samples 4 to 7 of 'images': ",
        "nan.h5: sample 7 of 'images' holds values that are not finite",
        "nan.h5: sample 9 of 'images' holds values that are not finite",
        "labels.h5: 'labels' has shape (9,); for 10 samples it must be (10,)",
        "negative.h5: 'labels': 1 labels are negative, the first is sample 5's: -1",
        "bytes.h5: holds (4, 3, 1) uint8 with labels int64, but good.h5 (4, 3, 1) float32 with "
        "labels int64; all files must agree",
        "unwritten.h5: 'images': 2 of 3 chunks were never written",
        "claims.h5: 'images': 250000000000000 of 250000000000000 chunks were never written",
        "claims.h5: holds (4, 3, 1) float32, but good.h5 ",
        "doubles.h5: 'images' has dtype float64; it must be uint8 or float32",
        "empty.h5: 'images' holds no samples",
        "empty.h5: holds (4, 3, 1) float32, but good.h5 ",
        "none.h5: there is no such file",
        "note: exact copies of other samples: ",
    ]
    assert len(lines) == len(starts), lines
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def test_the_ranks_share_the_files_and_fail_together(hpcgan_data, here: Path) -> None:
    for number in range(3):
        make(f"{number}.h5")
    os.truncate("1.h5", 700)
    done = hpcgan_data("verify 0.h5 1.h5 2.h5", ranks=2)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["0.h5", "1.h5", "2.h5", "note"]
    assert lines[0] == lines[2].replace("2.h5", "0.h5")
    errors = [line for line in done.stderr.splitlines() if "hpcgan-data" in line]
    assert errors == ["hpcgan-data: 1 problem in 3 files"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGPROF])
def test_a_file_that_hdf5_does_not_survive_is_a_problem_and_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys, number: signal.Signals
) -> None:
    fake = here / "python"
    name = number.name.removeprefix("SIG")
    fake.write_text(f"#!/bin/sh\necho '{{\"value\": 0}}'\nread question\nkill -{name} $$\n")
    fake.chmod(0o700)
    make("a.h5")
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setattr(hdf5, "of_this_rank", hdf5.Hdf5Process())
    says = {
        signal.SIGSEGV: "a.h5: not readable as HDF5: HDF5 crashes on it (SIGSEGV): it is damaged",
        signal.SIGPROF: "a.h5: not readable as HDF5: HDF5 does not return from it: it is damaged",
    }[number]
    assert said(capsys, "verify", "a.h5", status=1) == [says]
    for words in ("inspect a.h5", "reshard a.h5 --out o.h5", "convert a.h5 o.h5"):
        assert cli.main(words.split()) == 2
        assert capsys.readouterr().err == f"hpcgan-data: {says}\n"


def test_samples_that_hdf5_does_not_survive_are_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("a.h5", "f4")

    def call(function: hdf5.Function, *words: object) -> tuple[object, list[np.ndarray]]:
        if function is check_file.values:
            raise hdf5.Hdf5Error("HDF5 crashes on it")
        return hdf5.call(function, *words)

    monkeypatch.setattr(verify, "call", call)
    found, _ = verify.check("a.h5", "images", None)
    problem = "samples 0 to 7 of 'images': HDF5 crashes on it; no more of them are read"
    assert found["problems"] == [problem]
    assert found["labels"] == "int64"


def test_a_chunk_that_says_to_be_elsewhere_is_reported(here: Path, capsys) -> None:
    path = make("a.h5", "f4")
    content, place = path.read_bytes(), struct.pack("<2I5Q", 192, 0, 4, 0, 0, 0, 0)
    assert content.count(place) == 1
    # HDF5 reads zeros where this chunk belongs, without a word.
    path.write_bytes(content.replace(place, struct.pack("<2I5Q", 192, 0, 4, 40, 0, 0, 0)))
    problem = "a.h5: 1 chunks of '/images' are not in it: it is damaged"
    assert said(capsys, "verify", "a.h5", status=1)[0] == problem
    for words in ("inspect a.h5", "reshard a.h5 --out o.h5", "convert a.h5 o.h5"):
        assert cli.main(words.split()) == 2
        assert capsys.readouterr().err == f"hpcgan-data: {problem}\n"


def test_what_a_file_takes_from_others_is_checked(here: Path, capsys) -> None:
    make("a.h5", "f4")
    with h5py.File("linked.h5", "w") as file:
        file["images"] = h5py.ExternalLink("a.h5", "images")
    layout = h5py.VirtualLayout((COUNT, *SHAPE), "f4")
    layout[:] = h5py.VirtualSource("gone.h5", "images", shape=(COUNT, *SHAPE))
    with h5py.File("view.h5", "w") as file:
        file.create_virtual_dataset("images", layout)
    says = {
        "linked.h5": "'images' is a link to another file; name that file instead",
        "view.h5": f"a view of gone.h5, which is not readable: gone.h5: there is no such file "
        f"(seen from {here})",
    }
    for name, problem in says.items():
        assert said(capsys, "verify", name, status=1) == [f"{name}: {problem}"]
        for words in (["inspect", name], ["reshard", name, "--out", "o.h5"]):
            assert cli.main(words) == 2
            assert capsys.readouterr().err == f"hpcgan-data: {name}: {problem}\n"


def test_text_of_a_file_does_not_steer_the_terminal(here: Path, capsys) -> None:
    with h5py.File(make("a.h5"), "r+") as file:
        text = h5py.string_dtype()
        file["images"].attrs.create("title", b"\x1b[2Jhere\xff", dtype=text)
        file["images"].attrs["long"] = np.zeros(8000)
        file["images"].attrs["none"] = h5py.Empty("f4")
        file["x\x1b"] = np.zeros(2)
    lines = said(capsys, "inspect", "a.h5")
    assert "    title = \\x1b[2Jhere\\udcff" in lines
    assert cli.main(["inspect", "a.h5", "--images", "y"]) == 2
    assert capsys.readouterr().err.endswith("its datasets are: images, labels, x\\x1b\n")


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (5, 4), ()])
def test_what_is_no_picture_is_not_drawn(here: Path, capsys, shape: tuple[int, ...]) -> None:
    with h5py.File("a.h5", "w") as file:
        file["images"] = np.zeros(shape, "u1")
    assert cli.main(["inspect", "a.h5", "--preview", "p.png"]) == 2
    assert capsys.readouterr().err.startswith("hpcgan-data: a.h5: ")


def test_damage_anywhere_never_hangs_or_fails_in_another_way(here: Path) -> None:
    whole = make("a.h5", "f4", compression="gzip").read_bytes()
    rng = random.Random(0)
    for _ in range(24):
        content = bytearray(whole)
        for _ in range(8):
            content[rng.randrange(len(content))] = rng.randrange(256)
        Path("b.h5").write_bytes(content[: rng.choice([None, rng.randrange(len(content))])])
        found, _ = verify.check("b.h5", "images", None)
        assert not [p for p in found["problems"] if "\n" in p]
