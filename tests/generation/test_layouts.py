"""What is written in other layouts, with thresholds and compressed, as others read it."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from generation.made import ENERGIES, SHOWERS

from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config, DataConfig
from hpcgan.errors import ConfigError, RunError
from hpcgan.generate import generate
from hpcgan.generation import sample_file, seal
from hpcgan.generation.form import Compression, Form, Output
from hpcgan.generation.sampler import Wanted
from hpcgan.world import World

COUNT = BLOCK + 5


def made_up(output: Output) -> tuple[Form, np.ndarray, np.ndarray]:
    """Return a form of showers, stored by 0.01, and such showers and their energies."""
    config = Config(data=DataConfig(files=["x"], shards=1), model=SHOWERS)
    about = (config, (2, 3, 4, 1), "float32", "", 0, 0, {}, (), ENERGIES)
    rng = np.random.default_rng(6)
    cells = rng.exponential(0.1, (COUNT, 2, 3, 4, 1)).astype(np.float32)
    energies = rng.uniform(10, 500, COUNT).astype(np.float32)
    return Form(Checkpoint(Path("c.h5"), 1, 1, *about), output), cells, energies


def write(output: Output, fingerprint: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Write showers in two chunks; return them in their units, and their energies."""
    form, cells, energies = made_up(output)
    form.check()
    chunks = ((cells[i : i + 100], energies[i : i + 100]) for i in range(0, COUNT, 100))
    sample_file.write(output.path, form, COUNT, chunks, fingerprint)
    return (cells.astype(np.float64) / 0.01).astype(np.float32), energies


def test_calochallenge(tmp_path: Path) -> None:
    cells, energies = write(Output(tmp_path / "a.h5", "calochallenge"))
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"incident_energies", "showers"}
        assert np.array_equal(file["incident_energies"], energies[:, np.newaxis])
        assert np.array_equal(file["showers"], cells.reshape(COUNT, 24))
        assert file["showers"].dtype == np.float32


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_root(tmp_path: Path, compression: Compression) -> None:
    uproot = pytest.importorskip("uproot")
    out = tmp_path / "a.root"
    cells, energies = write(Output(out, compression=compression), "of seed 3")
    assert seal.is_whole(out, "of seed 3")
    with uproot.open(out) as file:
        assert str(file["fingerprint"]) == "of seed 3"
        found = file["samples"].arrays(library="np")
    assert np.array_equal(found["energy"], energies)
    assert np.array_equal(found["cells"], cells.reshape(COUNT, 24))


def test_without_uproot_root_is_refused_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(RunError, match=r"uproot .*: pip install 'hpcgan\[root\]'"):
        Output(tmp_path / "a.root").check()


@pytest.mark.parametrize("compression", ["none", "gzip", "lzf"])
def test_values_below_a_threshold_are_zero(tmp_path: Path, compression: Compression) -> None:
    out = tmp_path / "a.h5"
    cells, _ = write(Output(out, threshold=5.0, compression=compression))
    with h5py.File(out) as file:
        found = file["images"]
        assert np.array_equal(found, np.where(cells < 5, 0, cells))
        assert found.compression == (None if compression == "none" else compression)
    before = out.read_bytes()
    write(Output(out, threshold=5.0, compression=compression))
    assert out.read_bytes() == before


def test_labels_of_a_file_are_written_and_used(world: World, classes: Path, tmp_path: Path) -> None:
    labels = np.arange(COUNT) // 2 % 2 * 2  # 0 0 2 2 0 0 ...
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file["labels"] = labels
    wanted = Wanted(COUNT, labels=tmp_path / "labels.h5")
    generate(world, classes, wanted, Output(tmp_path / "a.h5"))
    generate(world, classes, Wanted(COUNT, label="emu"), Output(tmp_path / "b.h5"))
    with h5py.File(tmp_path / "a.h5") as one, h5py.File(tmp_path / "b.h5") as other:
        assert np.array_equal(one["labels"], labels)
        same = (one["images"][:] == other["images"][:]).all(axis=(1, 2, 3))
    assert same[labels == 2].all()
    assert same[labels == 0].mean() < 0.5  # some are white in any class


@pytest.mark.parametrize(
    ("wanted", "output", "said"),
    [
        (Wanted(2**40 + 1), Output(Path("a.h5")), "count is at least 1, at most 2"),
        (Wanted(1), Output(Path("a"), part_size=100), "--part-size 100: must be a multiple of 256"),
        (Wanted(1), Output(Path("a.b")), r"--out a\.b: the suffix .* give --part-size too"),
        (Wanted(1), Output(Path("a.npz"), compression="gzip"), "npz is written with none"),
        (Wanted(1), Output(Path("a.root"), "flat"), "--layout flat is not for .root"),
        (Wanted(1), Output(Path("a.h5"), "root"), "root is for .root or a directory, not a.h5"),
        (Wanted(1), Output(Path("a.npz"), "calochallenge"), "calochallenge is for .h5"),
        (Wanted(1), Output(Path("a.h5"), threshold=float("nan")), "must be a number above 0"),
        (Wanted(1), Output(Path("a.h5"), "calochallenge"), "is not of showers with one label"),
        (Wanted(2**25), Output(Path("a.npz")), "holds 16777216 of these samples at most"),
        (Wanted(2**28, labels=Path("l")), Output(Path("a")), "of networks without labels"),
        (Wanted(1, label="1", labels=Path("l")), Output(Path("a")), "leave out --label and --draw"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    world: World, plain: Path, wanted: Wanted, output: Output, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        generate(world, plain, wanted, output)
    assert not Path("a").exists()
