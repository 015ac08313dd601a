"""Checkpoints with a right seal that hpcgan did not write."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_checkpoint import assert_same, refusal, sample_checkpoint

from hpcgan.checkpoint import newest, path_of, read, seal, write
from hpcgan.config import ModelConfig
from hpcgan.config_file import to_yaml
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import CheckpointError
from hpcgan.files import USER_BLOCK

KERNEL = "generator/dense/kernel"


def change(path: Path, how: Callable[[h5py.File], object]) -> None:
    """Change a checkpoint's content and seal it again."""
    content = io.BytesIO(path.read_bytes())
    with h5py.File(content, "r+") as file:
        how(file)
    whole = content.getvalue()
    path.write_bytes(seal(memoryview(whole)[USER_BLOCK:]) + whole[USER_BLOCK:])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return a checkpoint."""
    checkpoint = sample_checkpoint(tmp_path)
    write(checkpoint)
    change(checkpoint.path, lambda file: None)
    assert_same(read(checkpoint.path), checkpoint)
    return checkpoint.path


def replace(name: str, **options: object) -> Callable[[h5py.File], None]:
    """Return what puts another dataset in the place of one."""

    def how(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file.create_dataset(name, **options)

    return how


def link(name: str, target: object) -> Callable[[h5py.File], None]:
    """Return what puts a link in the place of something."""

    def how(file: h5py.File) -> None:
        del file[name]
        file[name] = file[target] if isinstance(target, str) else target

    return how


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2, 3), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "images", shape=(2, 3))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


CONTENTS = {
    "never written": replace(KERNEL, shape=(10**15,), dtype="f4"),
    "never written chunks": replace(KERNEL, shape=(10**15,), dtype="f4", chunks=(10**6,)),
    "compressed": replace(KERNEL, data=np.zeros(10**7, "f4"), compression="gzip"),
    "text": replace(KERNEL, data="pickle"),
    "texts": replace(KERNEL, data=np.array([b"a", b"bc"])),
    "complex": replace(KERNEL, data=np.zeros(3, complex)),
    "compound": replace(KERNEL, data=np.zeros(3, [("a", "f4"), ("b", "f4")])),
    "no shape": replace(KERNEL, data=h5py.Empty("f4")),
    "objects": replace(KERNEL, shape=(3,), dtype=h5py.ref_dtype),
    "regions": replace(KERNEL, shape=(3,), dtype=h5py.regionref_dtype),
    "ragged": replace(KERNEL, shape=(3,), dtype=h5py.vlen_dtype(np.float32)),
    "in a file outside": replace(
        KERNEL, shape=(2, 3), dtype="f4", external=[("/etc/passwd", 0, 24)]
    ),
    "virtual": virtual,
    "link to another file": link(KERNEL, h5py.ExternalLink("/etc/other.h5", "images")),
    "link in the file": link(KERNEL, h5py.SoftLink("/discriminator/dense/kernel")),
    "group that is a link": link("generator", h5py.SoftLink("/discriminator")),
    "one array twice": link(KERNEL, "discriminator/dense/kernel"),
    "group in itself": link(KERNEL, "generator"),
    "group missing": lambda file: file.pop("generator"),
    "dataset for a group": lambda file: (
        file.pop("generator"),
        file.create_dataset("generator", data=1),
    ),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_variables_that_hpcgan_does_not_write_are_refused(written: Path, case: str) -> None:
    change(written, CONTENTS[case])
    assert "damaged" in refusal(written)


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    """Return what gives an attribute another value."""

    def how(file: h5py.File) -> None:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return how


ATTRIBUTES = [
    *((name, None) for name in ("step", "images", "config", "sample_shape", "sample_dtype")),
    *(("step", value) for value in (-1, 1.5, "7", [7, 8], h5py.Empty("i8"))),
    *(("images", value) for value in (-1, np.nan, b"7")),
    *(("sample_shape", value) for value in (8, [8, 8], [8, 0, 1], [8.0, 8, 1], [1] * 6, "8")),
    *(("sample_dtype", value) for value in (8, ["uint8"], "object", "x" * 10**5)),
    *(("data_files", value) for value in (7, "no digits", "0123", ["a"], "0" * (5 * 2**20))),
    *(("samples", value) for value in (7, "{}", b"\xff", h5py.Empty("i8"), "[" * (5 * 2**20))),
    *(("round", value) for value in (-1, 1.5, "7")),
    *(("values", value) for value in (7, "[]", '{"seed": 1.0}', '{"loss.r1": -1.0}', "[" * 10**6)),
    *(("values", f'{{"loss.r1": {value}}}') for value in ("NaN", "true", "1e999", "1" * 500)),
    *(("config", value) for value in (7, ["a"], b"\xff\xfe", "x" * (5 * 2**20))),
]


@pytest.mark.parametrize("number", range(len(ATTRIBUTES)))
def test_attributes_of_another_kind_are_refused(written: Path, number: int) -> None:
    change(written, attribute(*ATTRIBUTES[number]))
    refusal(written)


def test_a_checkpoint_of_before_fingerprints_is_read(written: Path) -> None:
    change(written, attribute("data_files", None))
    assert read(written).fingerprints == ()


def test_a_checkpoint_of_before_tournaments_is_read(written: Path) -> None:
    for name in ("values", "round"):
        change(written, attribute(name, None))
    found = read(written)
    assert (found.values, found.round) == ({}, 0)


def test_a_checkpoint_of_before_what_is_known_of_samples_is_read(written: Path) -> None:
    change(written, attribute("samples", None))
    assert read(written).samples == SampleInfo()


def test_counts_of_other_classes_than_the_networks_have_are_refused(tmp_path: Path) -> None:
    checkpoint = dataclasses.replace(sample_checkpoint(tmp_path), samples=SampleInfo(counts=(4, 2)))
    write(checkpoint)
    assert refusal(checkpoint.path).endswith(
        "it counts the samples of 2 classes, and model.classes is None"
    )


def test_a_checkpoint_with_a_key_of_an_earlier_version_is_read(written: Path) -> None:
    config = read(written).config
    earlier = to_yaml(config).replace("\nlog:\n", "\nlog:\n  mlperf: true\n")
    assert "mlperf" in earlier
    change(written, attribute("config", earlier))
    assert read(written).config == config


ALIASES = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
)
CONFIGS = [
    "data: /etc/passwd",
    "data: |\n  one\n  two",
    "{}",
    "[" * 10**6,
    "a: " * 50,
    ALIASES,
    f"seed: {'1' * 10**5}",
    "!!python/object/apply:os.system ['true']",
    '"a\\nb": 1',
    "\x07",
]


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_configurations_of_another_kind_are_refused(written: Path, number: int) -> None:
    change(written, attribute("config", CONFIGS[number]))
    refusal(written)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (ModelConfig(width=10**6), "model.width is 1000000; it must be at most 2000"),
        (ModelConfig(latent_dim=0), "model.latent_dim is 0; it must be at least 1"),
    ],
)
def test_networks_that_no_configuration_may_ask_for_are_refused(
    tmp_path: Path, model: ModelConfig, told: str
) -> None:
    checkpoint = sample_checkpoint(tmp_path)
    config = dataclasses.replace(checkpoint.config, model=model)
    write(dataclasses.replace(checkpoint, config=config))
    assert refusal(checkpoint.path) == f"{checkpoint.path}: {told}"


def test_200_bits_and_ends_are_noticed_and_the_one_before_is_taken(tmp_path: Path) -> None:
    for step in (1, 2):
        write(sample_checkpoint(tmp_path, step))
    content = path_of(tmp_path, 2).read_bytes()
    chance = np.random.default_rng(0)
    for number in range(200):
        place = int(chance.integers(len(content)))
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(chance.integers(8))
        path_of(tmp_path, 2).write_bytes(damaged if number % 2 else content[:place])
        with pytest.raises(CheckpointError, match="damaged"):
            read(path_of(tmp_path, 2))
        if number % 20 < 2:  # starts the process: not each time
            found, (warning,) = newest(tmp_path)
            assert found is not None
            assert_same(found, sample_checkpoint(tmp_path, 1))
            assert warning.startswith(f"{path_of(tmp_path, 2)}: damaged")
            assert warning.endswith("; trying the one before")
