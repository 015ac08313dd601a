"""The cache of features of real data: what it saves, and that nothing depends on it."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.evaluation.features import cache, flat
from hpcgan.evaluation.features.cache import cached
from tests.evaluation.made import spread_images


class Counting:
    """An extractor, the first two values, that counts the samples it is given."""

    name, dimension, identity = "first", 2, "first two"
    seen = 0

    def features(self, images: np.ndarray) -> np.ndarray:
        self.seen += len(images)
        return flat(images)[:, :2]


class Halves(Counting):
    """One that has classes."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        return np.stack([features[:, 0] < 0, features[:, 0] >= 0], axis=1).astype(np.float64)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hpcgan" / "features"


@pytest.fixture
def samples(world):
    images = np.random.default_rng(0).integers(0, 256, (300, 2, 2, 1), np.uint8)
    return spread_images(world, images)


def test_features_are_computed_once(samples, place) -> None:
    first, second = Counting(), Counting()
    expected = flat(samples.images)[:, :2]
    assert np.array_equal(cached(first, samples).features, expected)
    assert np.array_equal(cached(second, samples).features, expected)
    assert (first.seen, second.seen) == (300, 0)
    assert sorted(each.suffix for each in place.iterdir()) == [".npy", ".npy"]


def test_probabilities_follow_from_features_that_were_kept(samples) -> None:
    cached(Halves(), samples)
    found = cached(Halves(), samples)
    assert found.probabilities is not None
    assert found.probabilities[:, 1].tolist() == (samples.images[:, 0, 0, 0] > 127).tolist()
    assert cached(Counting(), samples).probabilities is None


def test_another_extractor_version_or_sample_has_features_of_its_own(
    world, samples, monkeypatch
) -> None:
    cached(Counting(), samples)
    other = Counting()
    other.identity = "another"
    cached(other, samples)
    assert other.seen == 300
    changed = samples.images.copy()
    changed[299] += 1
    again = Counting()
    cached(again, spread_images(world, changed))
    assert again.seen == 44  # the second block alone
    monkeypatch.setattr("hpcgan.evaluation.features.cache.__version__", "0.0.0")
    newer = Counting()
    cached(newer, samples)
    assert newer.seen == 300


@pytest.mark.parametrize("damage", ["half", "empty", "pickle", "shape", "nan", "long"])
def test_a_damaged_file_is_computed_again(samples, place, damage) -> None:
    cached(Counting(), samples)
    for file in place.iterdir():
        content = file.read_bytes()
        if damage in ("half", "empty"):
            file.write_bytes(content[: len(content) // 2 if damage == "half" else 0])
        elif damage == "long":
            file.write_bytes(content + bytes(10_000))
        else:
            rows = len(np.load(file))
            array = np.full((rows, 2), np.nan if damage == "nan" else 0.0)
            made = array.astype(object) if damage == "pickle" else array
            np.save(file, made[:, :1] if damage == "shape" else made)
    again = Counting()
    assert np.array_equal(cached(again, samples).features, flat(samples.images)[:, :2])
    assert again.seen == 300


def test_a_place_that_cannot_be_written_fails_nothing(samples, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cached(Counting(), samples).features.shape == (300, 2)


def test_without_xdg_cache_home_it_is_in_the_home(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.directory() == tmp_path / ".cache" / "hpcgan" / "features"
