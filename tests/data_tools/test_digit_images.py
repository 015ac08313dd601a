"""The digits themselves: all there, whole, centred, readable, and split as asked."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from data_tools.digits import digit_images, split_held_out
from hpcgan.errors import ConfigError


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return digit_images(28)


def test_all_digits_are_there_with_their_labels(digits):
    images, labels = digits
    assert images.shape == (1797, 28, 28, 1)
    assert images.dtype == np.uint8
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, load_digits().target)


def test_ink_spans_20_pixels_of_28_inside_a_margin(digits):
    images, _ = digits
    rows = images.any(axis=(2, 3))
    heights = 28 - rows.argmax(axis=1) - rows[:, ::-1].argmax(axis=1)
    assert (heights == 20).all()  # every one of the 8x8 digits fills its 8 rows
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    assert not images[:, border].any()


@pytest.mark.parametrize("size", [8, 9, 28, 65])
def test_centre_of_mass_is_in_the_centre(size):
    images = digit_images(size)[0][..., 0].astype(float)
    ink = images.sum(axis=(1, 2))
    for axis in (1, 2):
        centre = images.sum(axis=3 - axis) @ np.arange(size) / ink
        # Whole pixels are shifted: half a pixel remains at most.
        assert np.abs(centre - (size - 1) / 2).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("size", [8, 9, 28, 65])
def test_no_ink_is_cut_off(size):
    """The ink is that of the 8x8 digit, times the area that a source pixel now covers."""
    images, _ = digit_images(size)
    area = (round(size * 20 / 28) / 9) ** 2  # 8 source pixels, and half a one to fade each side
    expected = load_digits().images.sum(axis=(1, 2)) / 16 * area
    ratio = images.sum(axis=(1, 2, 3)) / 255 / expected
    assert ratio.min() > 0.95
    assert ratio.max() < 1.1


def test_each_image_is_its_8x8_digit_enlarged(digits):
    """Against another way: sample each source linearly, centre of mass on centre of mass."""
    scale = 9 / 20
    for image, source in zip(digits[0][..., 0], load_digits().images, strict=True):
        source = np.pad(source, 2)
        centres = [np.array(ndimage.center_of_mass(each)) for each in (source, image)]
        offset = centres[0] - centres[1] * scale
        linear = ndimage.affine_transform(source, [scale] * 2, offset, image.shape, order=1)
        assert np.corrcoef(image.ravel(), linear.ravel())[0, 1] > 0.97


def test_a_classifier_can_read_them(digits):
    images, labels = digits
    pixels = images.reshape(len(images), -1) / 255
    stay, go = split_held_out(labels, 0.3, seed=0)
    classifier = LogisticRegression(max_iter=300).fit(pixels[stay], labels[stay])
    assert classifier.score(pixels[go], labels[go]) > 0.9


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"pip install 'hpcgan\[demo\]'"):
        digit_images(28)


@given(
    labels=arrays(np.uint8, st.integers(20, 200), elements=st.integers(0, 3)),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_split_is_stratified_and_loses_nothing(labels, fraction, seed):
    counts = {label: np.count_nonzero(labels == label) for label in np.unique(labels)}
    expected = {label: round(fraction * count) for label, count in counts.items()}
    if any(expected[label] in (0, counts[label]) for label in counts):
        with pytest.raises(ConfigError, match=r"both files need some"):
            split_held_out(labels, fraction, seed)
        return
    stay, go = split_held_out(labels, fraction, seed)
    assert sorted([*stay, *go]) == list(range(len(labels)))
    assert {label: np.count_nonzero(labels[go] == label) for label in counts} == expected


def test_split_depends_on_the_seed_alone():
    labels = np.arange(1000) % 10
    first, again, other = (split_held_out(labels, 0.2, seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert len(first) == len(other) == 200
    assert set(first) != set(other)


def test_split_draws_from_the_whole_class():
    go = split_held_out(np.zeros(1000, int), 0.2, 0)[1]
    assert 400 < go.mean() < 600  # 7 standard deviations to either side


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_fraction_out_of_bounds(fraction):
    with pytest.raises(ConfigError, match=r"^--held-out is .*; it must be between 0 and 1$"):
        split_held_out(np.arange(10) % 2, fraction, 0)
