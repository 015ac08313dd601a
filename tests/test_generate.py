"""What is written of generated samples, which labels they may have, and whose code makes them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from PIL import Image

from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import GROUPS, Checkpoint, write
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import ConfigError
from hpcgan.generate import generate, prepare
from hpcgan.generation.form import Output
from hpcgan.generation.sampler import Wanted
from hpcgan.world import World

MADE = np.linspace(-1, 1, 5 * 2 * 3 * 4, dtype=np.float32).reshape(5, 2, 3, 4, 1)


FIVE = ModelConfig(name="dcgan", condition="projection", classes=5)


def checkpoint_of(
    path: Path, model: ModelConfig, samples: SampleInfo, dtype: str = "float32"
) -> Checkpoint:
    """Return a checkpoint of networks without variables."""
    config = Config(data=DataConfig(files=["x"], shards=1, labels="labels"), model=model)
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in GROUPS}
    shape = MADE.shape[1:]
    return Checkpoint(path, 1, 1, config, shape, dtype, "40 samples", 0, 0, groups, (), samples)


@pytest.mark.parametrize("key", ["generator", "discriminator"])
def test_either_network_of_a_checkpoint_may_name_code_and_none_is_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trap.py").write_text("open('sprung', 'w')\n")
    found = checkpoint_of(Path("c.h5"), ModelConfig(**{key: "trap:network"}), SampleInfo())
    with pytest.raises(ConfigError, match=r"^c\.h5: its networks are built by trap:network; if"):
        prepare(world, found, Wanted(1), Output(Path("a.h5")))
    assert not Path("sprung").exists()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where a checkpoint is to be, whose networks would make ``MADE``."""

    class Sampler(NamedTuple):
        """Makes them."""

        found: Checkpoint

        def labels(self, blocks: range) -> np.ndarray:
            return np.arange(BLOCK, dtype=np.int32)

        def images(self, blocks: range, labels: np.ndarray) -> np.ndarray:
            return np.resize(MADE, (BLOCK, *MADE.shape[1:]))

    monkeypatch.setattr("hpcgan.generate.open_sampler", lambda world, found, wanted: Sampler(found))
    return tmp_path / "run" / "c.h5"


def written(world: World, path: Path, name: str, layout: str | None = None) -> np.ndarray:
    """Return the images that ``generate`` writes."""
    out = path.with_name(name)
    generate(world, path, Wanted(5), Output(out, layout))
    if name.endswith(".npz"):
        return np.load(out)["images"]
    with h5py.File(out) as file:
        assert not file["images"].attrs
        assert file["labels"][:].tolist() == [0, 1, 2, 3, 4]
        return file["images"][:]


@pytest.mark.parametrize("name", ["a.h5", "a.npz"])
def test_mapped_values_are_written_in_the_units_of_their_source(
    world: World, path: Path, name: str
) -> None:
    path.parent.mkdir()
    write(checkpoint_of(path, FIVE, SampleInfo("scale:10,0 minmax:0,40")))
    images = written(world, path, name)
    assert (images.shape, images.dtype) == (MADE.shape, np.float32)
    np.testing.assert_allclose(images, (MADE.astype(np.float64) + 1) * 2, rtol=1e-6, atol=1e-6)
    flat = written(world, path, name, "flat")
    assert flat.shape == (5, 24)
    assert (flat == images.reshape(5, 24)).all()


def test_a_picture_shows_what_the_networks_see(world: World, path: Path) -> None:
    path.parent.mkdir()
    pixels = []
    for values in ("", "minmax:0,1000"):
        write(checkpoint_of(path, ModelConfig(), SampleInfo(values)))
        generate(world, path, Wanted(5), Output(path.with_name("a.png")))
        with Image.open(path.with_name("a.png")) as picture:
            pixels.append(np.asarray(picture))
    assert (pixels[0] == pixels[1]).all()
    assert len(np.unique(pixels[0])) > 10


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_without_a_mapping_samples_have_the_datas_dtype(
    world: World, path: Path, dtype: str
) -> None:
    path.parent.mkdir()
    write(checkpoint_of(path, FIVE, SampleInfo(), dtype))
    images = written(world, path, "a.h5")
    expected = MADE if dtype == "float32" else np.rint((MADE + 1) * 127.5).astype(np.uint8)
    assert images.dtype == dtype
    assert (images == expected).all()
    assert (written(world, path, "b.h5", "NCDHW") == np.moveaxis(expected, -1, 1)).all()


@pytest.mark.parametrize(
    ("wanted", "name", "layout", "said"),
    [
        (Wanted(5), "a.png", "flat", r"--layout flat is not for \.png, and --out is .*a\.png"),
        (Wanted(5), "a.h5", "NCHW", r"--layout NCHW: the samples are NDHWC of shape"),
        (Wanted(5, label="1", draw="data"), "a.h5", None, r"--label 1 is of all samples, so that"),
        (Wanted(0), "a.h5", None, r"--count 0 --seed 0: count is at least 1"),
    ],
)
def test_options_that_contradict_are_refused(
    world: World, path: Path, wanted: Wanted, name: str, layout: str | None, said: str
) -> None:
    path.parent.mkdir()
    write(checkpoint_of(path, ModelConfig(), SampleInfo()))
    with pytest.raises(ConfigError, match=said):
        generate(world, path, wanted, Output(path.with_name(name), layout))


CLASSES = ModelConfig(name="dcgan", condition="projection", classes=4)
NAMED = SampleInfo("", ("cat", "dog", "emu", "1"), (5, 0, 1, 2))
SHOWERS = ModelConfig(name="volume", condition="regression", label_range=[1, 500, -1, 1])


@pytest.mark.parametrize(
    ("model", "samples", "wanted", "said"),
    [
        (CLASSES, NAMED, Wanted(1, label="dog"), "the class 1 (dog) had no sample in the data of"),
        (CLASSES, NAMED, Wanted(1, label="cow"), "are 0 to 3: 0 (cat), 1 (dog), 2 (emu), 3 (1)"),
        (CLASSES, SampleInfo(), Wanted(1, label="4"), "the labels of c.h5 are 0 to 3"),
        (CLASSES, SampleInfo(), Wanted(1, label="0.5"), "the labels of c.h5 are 0 to 3"),
        (CLASSES, SampleInfo(), Wanted(1, draw="data"), "--draw data: c.h5 does not know how of"),
        (SHOWERS, SampleInfo(), Wanted(1, label="7"), "are 1 to 500, -1 to 1, 2 values with com"),
        (SHOWERS, SampleInfo(), Wanted(1, label="7,2"), "the labels of c.h5 are 1 to 500, -1 to"),
        (SHOWERS, SampleInfo(), Wanted(1, label="a,b"), "the labels of c.h5 are 1 to 500, -1 to"),
        (ModelConfig(), SampleInfo(), Wanted(1, label="7"), "c.h5 is of networks without labels"),
    ],
)
def test_labels_that_the_networks_do_not_know_are_refused(
    world: World, model: ModelConfig, samples: SampleInfo, wanted: Wanted, said: str
) -> None:
    found = checkpoint_of(Path("c.h5"), model, samples)
    with pytest.raises(ConfigError) as caught:
        prepare(world, found, wanted, Output(Path("a.h5")))
    assert said in str(caught.value)
