"""Pictures: the exact pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hpcgan.pictures import grid, to_dtype


def pixels(picture: Image.Image) -> list:
    return np.asarray(picture).tolist()


def rows(*samples: list[list[int]]) -> np.ndarray:
    """Return grey samples, (N, H, W, 1) uint8."""
    return np.array(samples, np.uint8)[..., np.newaxis]


def test_samples_are_in_rows_in_a_square_whose_rest_is_black() -> None:
    # Each 1 high and 2 wide; three of them in two columns.
    picture = grid(rows([[1, 2]], [[3, 4]], [[5, 6]]))
    assert picture.mode == "L"
    assert picture.size == (4, 2)
    assert pixels(picture) == [[1, 2, 3, 4], [5, 6, 0, 0]]


def test_the_lines_of_a_sample_stay_together() -> None:
    picture = grid(rows([[1, 2], [3, 4]], [[5, 6], [7, 8]]))
    assert pixels(picture) == [[1, 2, 5, 6], [3, 4, 7, 8]]


@pytest.mark.parametrize(
    ("count", "columns", "lines"),
    [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2), (7, 3, 3), (64, 8, 8)],
)
def test_a_grid_has_no_empty_line(count: int, columns: int, lines: int) -> None:
    assert grid(np.zeros((count, 3, 2, 1), np.uint8)).size == (columns * 2, lines * 3)


def test_three_channels_are_red_green_and_blue() -> None:
    picture = grid(np.array([[[[1, 2, 3]]], [[[4, 5, 6]]]], np.uint8))
    assert picture.mode == "RGB"
    assert pixels(picture) == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize("channels", [2, 4])
def test_of_other_numbers_of_channels_the_first_is_grey(channels: int) -> None:
    samples = np.arange(2 * channels, dtype=np.uint8).reshape(2, 1, 1, channels)
    picture = grid(samples)
    assert picture.mode == "L"
    assert pixels(picture) == [[0, channels]]


@pytest.mark.parametrize(("depth", "middle"), [(1, 0), (2, 1), (3, 1), (4, 2)])
def test_of_a_volume_the_middle_slice_is_shown(depth: int, middle: int) -> None:
    volumes = np.arange(2 * depth, dtype=np.uint8).reshape(2, depth, 1, 1, 1)
    assert pixels(grid(volumes)) == [[middle, depth + middle]]


def test_floats_are_shown_from_black_at_minus_one_to_white_at_one() -> None:
    samples = np.array([[[[-1.0], [1.0]]], [[[0.2], [-3.0]]]], np.float32)
    assert pixels(grid(samples)) == [[0, 255, 153, 0]]


def test_bytes_are_rounded_to_the_nearest_and_clipped() -> None:
    # (x + 1) * 127.5 is 126.99, 127.5 (to even), 127.6, 254.6, 255, below 0 and above 255.
    samples = np.array([-0.004, 0, 0.0008, 0.9969, 1, -1.1, 1e9], np.float32)
    made = to_dtype(samples, "uint8")
    assert made.dtype == np.uint8
    assert made.tolist() == [127, 128, 128, 255, 255, 0, 255]


def test_every_byte_comes_back_from_its_float() -> None:
    # The scaling is that of the data: uint8 / 127.5 - 1.
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_dtype(every.astype(np.float32) / 127.5 - 1, "uint8"), every)


def test_floats_for_float_data_stay_as_they_are() -> None:
    samples = np.array([-7.5, 0.1, 300], np.float32)
    made = to_dtype(samples, "float32")
    assert made.dtype == np.float32
    assert np.array_equal(made, samples)
