"""DiffAugment: what each policy does to the pixels, exactly, and that gradients flow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.gan.augment import augment

_KEYS = tf.constant([[5, 6]])  # of one shard
_ALL = ["color", "translation", "cutout"]


def _samples(batch=6, height=16, width=24, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (batch, height, width, channels)).astype(np.float32)


def _augmented(samples, policies, keys=_KEYS):
    return augment(tf.constant(samples), policies, keys).numpy()


def _numbered(batch, height, width):
    """Return samples whose pixels say where they are: 1, 2, 3 ... in one channel."""
    pixels = np.arange(1, height * width + 1, dtype=np.float32).reshape(1, height, width, 1)
    return np.repeat(pixels, batch, axis=0)


@pytest.mark.parametrize("policies", [*([p] for p in _ALL), _ALL])
def test_a_key_says_all(policies):
    samples = _samples()
    one = _augmented(samples, policies)
    np.testing.assert_array_equal(_augmented(samples, policies), one)
    assert (_augmented(samples, policies, tf.constant([[5, 7]])) != one).any()


@pytest.mark.parametrize("policies", [*([p] for p in _ALL), _ALL])
def test_the_samples_of_each_shard_are_changed_by_its_own_key(policies):
    samples, keys = _samples(batch=12), tf.constant([[5, 6], [5, 7], [8, 6]])
    alone = [
        _augmented(samples[4 * shard : 4 * shard + 4], policies, keys[shard : shard + 1])
        for shard in range(3)
    ]
    np.testing.assert_allclose(
        _augmented(samples, policies, keys), np.concatenate(alone), atol=1e-6
    )


@pytest.mark.parametrize("policies", [*([p] for p in _ALL), _ALL])
def test_each_sample_is_changed_in_its_own_way(policies):
    same = np.repeat(_samples(batch=1), 6, axis=0)
    changed = _augmented(same, policies)
    assert len({sample.tobytes() for sample in changed}) > 3


def test_nothing_is_done_without_policies():
    np.testing.assert_array_equal(_augmented(_samples(), []), _samples())


@pytest.mark.parametrize("listed", [_ALL, ["cutout", "translation", "color"]])
def test_the_order_is_color_then_translation_then_cutout(listed):
    """One by one gives the same: a policy's numbers do not depend on which others there are."""
    one_by_one = _samples()
    for policy in ("color", "translation", "cutout"):
        one_by_one = _augmented(one_by_one, [policy])
    np.testing.assert_array_equal(_augmented(_samples(), listed), one_by_one)


def test_policies_draw_independently():
    """All 3 translations down meet all 9 places of the square.

    From one key they would agree modulo 3, so that only 9 of the 27 pairs were there.
    """
    samples = _numbered(500, 8, 8)
    moved, cut = _augmented(samples, ["translation"]), _augmented(samples, ["cutout"]) == 0
    down = np.argwhere(moved == samples[0, 4, 4])[:, 1]
    places = [tuple(np.nonzero(each.any(axis=(1, 2)))[0]) for each in cut]
    assert len(set(zip(down.tolist(), places, strict=True))) == 27


def test_color_is_brightness_then_saturation_then_contrast():
    """Each is found from what it leaves: the means and the deviations from them.

    With brightness b, saturation s and contrast c, a sample's mean becomes mean + b; a pixel's
    deviation from its grey becomes s c times as large, and its grey's from the mean c times.
    """
    samples = _samples(batch=400, height=4, width=4)
    changed = _augmented(samples, ["color"])

    def parts(x):
        mean, grey = x.mean(axis=(1, 2, 3), keepdims=True), x.mean(axis=3, keepdims=True)
        return mean, grey - mean, x - grey

    (mean, greys, colors), (new_mean, new_greys, new_colors) = parts(samples), parts(changed)
    b = (new_mean - mean).ravel()
    c = ((new_greys * greys).sum((1, 2, 3)) / (greys**2).sum((1, 2, 3))).ravel()
    sc = ((new_colors * colors).sum((1, 2, 3)) / (colors**2).sum((1, 2, 3))).ravel()
    np.testing.assert_allclose(new_greys, greys * c[:, None, None, None], atol=1e-5)
    np.testing.assert_allclose(new_colors, colors * sc[:, None, None, None], atol=1e-5)
    # Uniform in the paper's ranges: 400 draws come near both ends, and their mean near the middle,
    # within four standard errors (a range / sqrt(12) / 20).
    for values, low, high in [(b, -0.5, 0.5), (sc / c, 0.0, 2.0), (c, 0.5, 1.5)]:
        margin = 0.03 * (high - low)
        assert low - 1e-4 <= values.min() < low + margin
        assert high - margin < values.max() <= high + 1e-4
        assert abs(values.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12) / 20
    # The three do not draw from the same numbers.
    assert abs(np.corrcoef([b, sc / c, c])[np.triu_indices(3, 1)]).max() < 0.2


def test_color_by_hand_of_a_grey_sample_is_brightness_alone():
    # Without differences between channels or pixels, saturation and contrast have no effect.
    changed = _augmented(np.full((5, 4, 4, 3), 0.25, np.float32), ["color"])
    np.testing.assert_allclose(changed, changed[:, :1, :1, :1] + np.zeros((5, 4, 4, 3)), atol=1e-6)
    assert np.ptp(changed[:, 0, 0, 0]) > 0.1


def _shifted(sample, down, right):
    """Return a sample moved by whole pixels, zeros moving in."""
    height, width, _ = sample.shape
    moved = np.zeros_like(sample)
    moved[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = sample[
        max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    return moved


@pytest.mark.parametrize(("width", "most"), [(20, 3), (16, 2)])
def test_translation_moves_by_whole_pixels(width, most):
    # 16 / 8 = 2 rows, and 20 / 8 = 2.5, rounded to 3, or 2 columns at most.
    samples = _numbered(300, 16, width)
    found = set()
    for sample, changed in zip(samples, _augmented(samples, ["translation"]), strict=True):
        # The pixel at (8, 10) never leaves.
        rows, columns, _ = np.nonzero(changed == sample[8, 10])
        down, right = int(rows[0]) - 8, int(columns[0]) - 10
        np.testing.assert_array_equal(changed, _shifted(sample, down, right))
        found.add((down, right))
    assert found == {(down, right) for down in range(-2, 3) for right in range(-most, most + 1)}


def test_small_samples_are_not_translated():
    # 3 / 8 rounds to 0.
    np.testing.assert_array_equal(
        _augmented(_numbered(20, 3, 3), ["translation"]), _numbered(20, 3, 3)
    )


def _cut(length, side):
    """Return the (first, number) of pixels that a square's side covers at all its places."""
    first = range(-(length // 2), side - length // 2 + 1 - length % 2)
    return {(max(0, f), min(side, f + length) - max(0, f)) for f in first}


@pytest.mark.parametrize(
    ("side", "length"),
    [(8, 4), (6, 3), (9, 5)],  # 9 / 2 = 4.5 is rounded up
)
def test_cutout_is_a_square_of_half_the_side(side, length):
    changed = _augmented(_numbered(500, side, 2 * side), ["cutout"])
    rows, columns = set(), set()
    for sample, kept in zip(_numbered(500, side, 2 * side), changed, strict=True):
        cut = kept == 0
        np.testing.assert_array_equal(kept[~cut], sample[~cut])
        down, right, _ = np.nonzero(cut)
        height, width = np.ptp(down) + 1, np.ptp(right) + 1
        assert cut.sum() == height * width  # a rectangle without holes
        if down.min() > 0 and down.max() < side - 1:
            assert height == length
        if right.min() > 0 and right.max() < 2 * side - 1:
            assert width == side
        rows.add((int(down.min()), int(height)))
        columns.add((int(right.min()), int(width)))
    assert rows == _cut(length, side)
    assert columns == _cut(side, 2 * side)


def test_the_squares_row_and_column_are_independent():
    changed = _augmented(_numbered(1000, 8, 8), ["cutout"])
    assert len({each.tobytes() for each in changed == 0}) == 9 * 9


def test_cutout_covers_all_channels_of_a_pixel():
    cut = _augmented(_samples(), ["cutout"]) == 0
    np.testing.assert_array_equal(cut.any(axis=3), cut.all(axis=3))


def test_the_gradient_flows_to_what_is_left():
    """The sum's gradient is 1 at each pixel that can still be seen, else 0."""
    samples = tf.constant(_numbered(6, 16, 24))
    with tf.GradientTape() as tape:
        tape.watch(samples)
        changed = augment(samples, ["translation", "cutout"], _KEYS)
    gradient = tape.gradient(changed, samples).numpy()
    for sample, kept, slope in zip(samples.numpy(), changed.numpy(), gradient, strict=True):
        np.testing.assert_array_equal(slope, np.isin(sample, kept[kept != 0]))


def test_the_gradient_of_color_is_that_of_its_means():
    # The sum of a sample grows by 1 with each pixel, whatever the factors.
    samples = tf.constant(_samples())
    with tf.GradientTape() as tape:
        tape.watch(samples)
        total = tf.reduce_sum(augment(samples, ["color"], _KEYS))
    np.testing.assert_allclose(tape.gradient(total, samples), np.ones(samples.shape), atol=1e-4)


def test_a_gradient_can_be_differentiated_again():
    """As penalties need it: of f = sum(y^2) / 2 with y = A x + b, the Hessian is A^T A."""
    samples = tf.constant(_numbered(2, 8, 8))
    with tf.GradientTape() as outer:
        outer.watch(samples)
        with tf.GradientTape() as inner:
            inner.watch(samples)
            half = tf.reduce_sum(augment(samples, ["translation", "cutout"], _KEYS) ** 2) / 2
        gradient = inner.gradient(half, samples)
    # A picks pixels, so A^T A 1 is 1 where the gradient, x itself there, is not 0.
    second = outer.gradient(gradient, samples).numpy()
    np.testing.assert_array_equal(second, gradient.numpy() != 0)
    assert 0 < second.sum() < second.size


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_samples_are_changed_as_float32_ones(dtype):
    samples = tf.cast(_samples(), dtype)
    changed = augment(samples, _ALL, _KEYS)
    assert changed.dtype == dtype
    expected = augment(tf.cast(samples, tf.float32), _ALL, _KEYS)
    np.testing.assert_array_equal(
        tf.cast(changed, tf.float32), tf.cast(tf.cast(expected, dtype), tf.float32)
    )


def test_many_half_precision_pixels_do_not_overflow():
    # 150 * 150 * 3 = 67500 ones are more than the largest float16, 65504.
    white = tf.ones((1, 150, 150, 3), tf.float16)
    changed = augment(white, ["color"], _KEYS).numpy()
    assert np.ptp(changed) == 0
    assert 0.5 <= changed.min() <= 1.5


def test_the_compiled_function_gives_the_same_and_keeps_the_static_shape():
    samples = _samples()

    @tf.function(input_signature=[tf.TensorSpec(samples.shape), tf.TensorSpec((1, 2), tf.int32)])
    def compiled(batch, keys):
        changed = augment(batch, _ALL, keys)
        assert changed.shape == batch.shape
        return changed

    np.testing.assert_allclose(
        compiled(tf.constant(samples), _KEYS), _augmented(samples, _ALL), atol=1e-6
    )
