"""HDF5 files of others, written as their makers describe them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conversions import Case, Converted, convert_all, refusal

RNG = np.random.default_rng(29)
COUNT = 11
COLOURS = RNG.integers(0, 256, (COUNT, 6, 5, 3), np.uint8)
FLOATS = RNG.normal(size=(COUNT, 5, 6, 7)).astype(np.float32)
CLASSES = (np.arange(COUNT) % 3).astype(np.int32)
ENERGIES = RNG.uniform(10, 500, (COUNT, 1)).astype(np.float32)


def write(path: Path, **datasets: np.ndarray) -> h5py.File:
    """Write an HDF5 file and leave it open."""
    file = h5py.File(path, "w")
    for name, array in datasets.items():
        file[name] = array
    return file


def biggan(place: Path) -> Case:
    """BigGAN-PyTorch's make_hdf5.py: channels first, chunked."""
    with h5py.File(place / "ILSVRC128.hdf5", "w") as file:
        images = COLOURS.transpose(0, 3, 1, 2)
        file.create_dataset("imgs", data=images, chunks=(3, 3, 6, 5), maxshape=(20, 3, 6, 5))
        file["labels"] = CLASSES.astype(np.int64)
    said = ("samples from dataset 'imgs'", "axes are NCHW, as such files have them")
    return Case("ILSVRC128.hdf5", COLOURS, CLASSES, said)


def pcam(place: Path) -> Case:
    write(place / "x.h5", x=COLOURS).close()
    write(place / "y.h5", y=CLASSES.astype("u1").reshape(COUNT, 1, 1, 1)).close()
    said = ("samples from dataset 'x'", f"labels ({COUNT}, 1, 1, 1) became ({COUNT},)")
    return Case(f"x.h5 --labels {place / 'y.h5'}:y --compression gzip", COLOURS, CLASSES, said)


def galaxy10(place: Path) -> Case:
    write(place / "Galaxy10.h5", images=COLOURS, ans=CLASSES.astype("u1")).close()
    return Case("Galaxy10.h5", COLOURS, CLASSES, ("labels from dataset 'ans'",))


def calochallenge(place: Path) -> Case:
    showers = RNG.exponential(1000, (3, 45 * 16 * 9))
    energies = np.array([[1e3], [2e5], [1e6]])
    write(place / "dataset_2_1.hdf5", showers=showers, incident_energies=energies).close()
    said = (
        "calochallenge-2 sets --images showers --labels incident_energies --shape 45,16,9 --values "
        "scale:1e-6,0",
        "labels (3, 1) became (3,)",
        "samples (6480,) became (45, 16, 9, 1) (NDHW)",
    )
    expected = (showers * 1e-6).astype(np.float32).reshape(3, 45, 16, 9, 1)
    labels = energies[:, 0].astype(np.float32)
    values = {"values": "scale:1e-06,0"}
    words = "dataset_2_1.hdf5 --dataset calochallenge-2"
    return Case(words, expected, labels, said, values)


def calochallenge_by_shape(place: Path) -> Case:
    showers = RNG.exponential(1000, (3, 5 * 8 * 6)).astype("f4")
    write(place / "d.hdf5", showers=showers, incident_energies=ENERGIES[:3]).close()
    expected = showers.reshape(3, 5, 8, 6, 1)
    return Case("d.hdf5 --shape 5,8,6", expected, ENERGIES[:3, 0])


def three_d_gan(place: Path) -> Case:
    targets = RNG.uniform(0, 9, (COUNT, 2))
    write(place / "e.h5", ECAL=FLOATS.astype("f8"), target=targets, HCAL=FLOATS).close()
    said = (
        "samples from dataset 'ECAL'",
        "labels from dataset 'target'",
        "left out: datasets beside the samples and labels: 1 (HCAL)",
        "samples (5, 6, 7) became (5, 6, 7, 1) (NDHW)",
        "values rounded from float64 to float32",
    )
    return Case("e.h5", FLOATS[..., np.newaxis], targets.astype("f4"), said)


def cosmoflow(place: Path) -> Case:
    """One file a universe, in a folder."""
    universes = RNG.integers(0, 9, (4, 5, 6, 7, 4)).astype("i2")
    parameters = RNG.uniform(-1, 1, (4, 4)).astype("f4")
    for number in range(4):
        path = place / f"univ_{number}.hdf5"
        one = {"full": universes[number], "unitPar": parameters[number]}
        write(path, **one, physPar=np.zeros(4), redshifts=np.zeros(4)).close()
    said = (
        "files, of which each is one sample: 4",
        "labels from dataset 'unitPar'",
        "left out: datasets beside the samples and labels: 2 (physPar, redshifts)",
    )
    return Case(".", universes.astype(np.uint8), parameters, said)


def cosmoflow_file(place: Path) -> Case:
    universe = RNG.integers(0, 9, (5, 6, 7, 4)).astype("i2")
    write(place / "u.hdf5", full=universe, physPar=np.arange(4) + 0.5).close()
    labels = np.array([[0.5, 1.5, 2.5, 3.5]], np.float32)
    return Case("u.hdf5", universe[np.newaxis].astype(np.uint8), labels)


def matlab(place: Path) -> Case:
    """A v7.3 file of H x W x C x N; labels are 1 x N, as text of one byte each."""
    with h5py.File(place / "m.mat", "w", userblock_size=512) as file:
        file["pixels"] = COLOURS.transpose(0, 3, 2, 1)
        file["pixels"].attrs["MATLAB_class"] = np.bytes_("uint8")
        file["y"] = CLASSES[:, np.newaxis].astype("u1")
        file["#refs#/a"] = CLASSES
    with (place / "m.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    words = "m.mat --images pixels --labels y --layout MATLAB"
    return Case(words, COLOURS, CLASSES, ("samples (3, 5, 6) became (6, 5, 3) (MATLAB)",))


def packed(place: Path) -> Case:
    """What netCDF packs into integers."""
    values = RNG.integers(-30000, 30000, (COUNT, 4, 3)).astype(">i2")
    with write(place / "n.nc", images=values) as file:
        attributes = {"scale_factor": 0.25, "add_offset": 3.0, "_FillValue": np.int16(-32767)}
        file["images"].attrs.update(attributes)
    expected = (values * 0.25 + 3).astype(np.float32)[..., np.newaxis]
    return Case("n.nc", expected, None, ("values unpacked: 0.25 x + 3 (scale_factor, add_offset)",))


def converted_before(place: Path) -> Case:
    """What ``convert`` wrote: the mapping of values and the classes stay."""
    names = ["ant", "bee", "cow"]
    with write(place / "c.h5", images=FLOATS[..., np.newaxis], labels=CLASSES) as file:
        file["images"].attrs["values"] = "log10:0.001"
        file["labels"].attrs["classes"] = names
    said = ("values of the source were mapped by log10:0.001, and stay so",)
    attributes = {"values": "log10:0.001", "classes": names}
    return Case("c.h5", FLOATS[..., np.newaxis], CLASSES, said, attributes)


def texts(place: Path) -> Case:
    """Labels as texts of any length, and images that are true or false, in groups."""
    names = np.array(["käfer", "ant", "cow"], dtype=object)[CLASSES]
    images = COLOURS[..., :1] > 99
    with h5py.File(place / "t.h5", "w") as file:
        file["part/images"] = images
        file["part/names"] = names
        file["part/names"].attrs["unit"] = "none"
    words = "t.h5 --images part/images --labels part/names"
    said = ("labels of 3 texts became classes, in the order of their names",)
    classes = {"classes": ["ant", "cow", "käfer"]}
    labels = np.array([2, 0, 1], np.int32)[CLASSES]
    return Case(words, images.astype(np.uint8) * np.uint8(255), labels, said, classes)


def fixed_texts(place: Path) -> Case:
    names = np.array([b"bee", b"ant", b"cow"])[CLASSES]
    write(place / "t.h5", images=FLOATS[..., :2].astype("f2"), labels=names).close()
    said = ("values became float32 from float16, and are the same",)
    labels = np.array([1, 0, 2], np.int32)[CLASSES]
    expected = FLOATS[..., :2].astype("f2").astype("f4")
    return Case("t.h5", expected, labels, said, {"classes": ["ant", "bee", "cow"]})


MAKERS: dict[str, Callable[[Path], Case]] = {
    make.__name__: make
    for make in (
        biggan,
        pcam,
        galaxy10,
        calochallenge,
        calochallenge_by_shape,
        three_d_gan,
        cosmoflow,
        cosmoflow_file,
        matlab,
        packed,
        converted_before,
        texts,
        fixed_texts,
    )
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return convert_all(tmp_path_factory.mktemp("hdf5"), MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_one_process_and_three_write_what_the_source_holds(converted, name: str) -> None:
    converted.check(name)


def test_sources_that_are_no_images(here: Path, capsys) -> None:
    write(here / "j.hdf5", particle_features=np.zeros((2, 30, 4)), jet_features=CLASSES).close()
    assert refusal(capsys, "j.hdf5", "o.h5") == (
        "j.hdf5: holds 'particle_features': JetNet's sets of particles, which are no images: there "
        "is no order or grid of particles that convolutions could use; its datasets are: "
        "jet_features, particle_features (--images NAME)"
    )
    matlab(here)
    message = refusal(capsys, "m.mat", "o.h5", "--images", "pixels")
    assert message.startswith("m.mat: is a MATLAB v7.3 file, whose axes are in reverse: --layout ")
    with write(here / "a.h5", images=COLOURS) as file:
        file["images"].attrs["MATLAB_class"] = np.bytes_("uint8")
    assert "is a MATLAB v7.3 file" in refusal(capsys, "a.h5", "o.h5")
    assert refusal(capsys, "m.mat", "o.h5") == (
        "m.mat: there is no dataset 'images'; its datasets are: pixels, y"
    )


def test_datasets_in_groups_are_named(here: Path, capsys) -> None:
    with h5py.File("a.h5", "w") as file:
        for number in range(25):
            file[f"run/part {number:02d}/pixels"] = COLOURS
        file["run/linked"] = h5py.ExternalLink("b.h5", "images")
        file["back"] = h5py.SoftLink("/run")
    paths = [f"run/part {number:02d}/pixels" for number in range(20)]
    listed = f"its datasets are: {', '.join(paths)}, ..."
    for words in ((), ("--images", "x")):
        message = refusal(capsys, "a.h5", "o.h5", *words)
        assert message == f"a.h5: there is no dataset '{words[1] if words else 'images'}'; {listed}"


def test_values_and_types_that_cannot_be_samples(here: Path, capsys) -> None:
    compound = np.zeros(3, [("a", "f4"), ("b", "i4")])
    write(here / "a.h5", images=COLOURS[:3], labels=compound, texts=np.array([b"x"] * 3)).close()
    assert refusal(capsys, "a.h5", "o.h5") == (
        "a.h5: dataset 'labels' has dtype [('a', '<f4'), ('b', '<i4')]; it must be numbers, truth "
        "values or texts"
    )
    assert refusal(capsys, "a.h5", "o.h5", "--images", "texts", "--labels", "none") == (
        "a.h5: 'texts' holds texts, which are no samples"
    )
    with write(here / "n.nc", images=np.array([[[1, -32767]]], "i2")) as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.0"
    assert refusal(capsys, "n.nc", "o.h5").startswith(
        "n.nc: sample 0 has 1 values -32767, which stand for missing ones"
    )
    with h5py.File("l.h5", "w") as file:
        file["images"] = COLOURS[:2]
        file["labels"] = ["a", "b" * 1001]
    assert refusal(capsys, "l.h5", "o.h5") == (
        "l.h5: 'labels' has a text of 1001 bytes; no label is so long"
    )


def test_folders_and_universes_that_differ(here: Path, capsys) -> None:
    Path("f").mkdir()
    write(here / "f" / "a.h5", images=COLOURS).close()
    assert refusal(capsys, "f", "o.h5").startswith(
        "f: the HDF5 files in a folder are read as one source where each holds one sample, "
        "CosmoFlow's 'full'; a.h5 holds images: "
    )
    Path("u").mkdir()
    for number, shape in enumerate([(2, 2, 2, 4), (2, 2, 3, 4)]):
        write(here / "u" / f"{number}.h5", full=np.zeros(shape), unitPar=np.zeros(4)).close()
    assert refusal(capsys, "u", "o.h5") == (
        "u/1.h5: 'full' has shape (2, 2, 3, 4) and dtype <f8, and that of u/0.h5 (2, 2, 2, 4) and "
        "<f8"
    )
    write(here / "u" / "1.h5", full=np.zeros((2, 2, 2, 4)), unitPar=np.zeros(3)).close()
    assert refusal(capsys, "u", "o.h5") == "u/1.h5: has 3 labels, and u/0.h5 4"


def test_a_data_set_is_for_hdf5(here: Path, capsys) -> None:
    np.save("a.npy", FLOATS)
    assert refusal(capsys, "a.npy", "o.h5", "--dataset", "calochallenge-3") == (
        "--dataset is for hdf5, and a.npy is npy"
    )
    write(here / "s.h5", showers=np.zeros((2, 6480)), incident_energies=np.ones((2, 1))).close()
    assert refusal(capsys, "s.h5", "o.h5", "--dataset", "calochallenge-3") == (
        "s.h5: samples of shape (6480,) have 6480 values, and --shape 45,50,18 has 40500"
    )
    assert "--shape D,H,W or H,W gives theirs" in refusal(capsys, "s.h5", "o.h5")
