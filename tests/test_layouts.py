"""Orders of axes of generated samples, against NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.errors import ConfigError
from hpcgan.layouts import arranged, check

PICTURES = np.arange(2 * 3 * 4 * 2).reshape(2, 3, 4, 2)
VOLUMES = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5, 1)


@pytest.mark.parametrize(
    ("samples", "layout", "expected"),
    [
        (PICTURES, "NHWC", PICTURES),
        (PICTURES, "NCHW", np.moveaxis(PICTURES, -1, 1)),
        (PICTURES[..., :1], "NHW", PICTURES[..., 0]),
        (PICTURES, "flat", PICTURES.reshape(2, 24)),
        (VOLUMES, "NDHWC", VOLUMES),
        (VOLUMES, "NCDHW", np.moveaxis(VOLUMES, -1, 1)),
        (VOLUMES, "NDHW", VOLUMES[..., 0]),
        (VOLUMES, "flat", VOLUMES.reshape(2, 60)),
    ],
)
def test_samples_are_written_in_the_order_asked_for(
    samples: np.ndarray, layout: str, expected: np.ndarray
) -> None:
    check(layout, samples.shape[1:])
    found = arranged(samples, layout)
    assert found.shape == expected.shape
    assert (found == expected).all()
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("NDHW", (3, 4, 1)), ("NCHW", (3, 4, 5, 1)), ("NHW", (3, 4, 2)), ("NDHW", (3, 4, 5, 2))],
)
def test_layouts_of_other_samples_are_refused(layout: str, shape: tuple[int, ...]) -> None:
    own = "NHWC" if len(shape) == 3 else "NDHWC"
    with pytest.raises(ConfigError) as caught:
        check(layout, shape)
    assert str(caught.value) == (
        f"--layout {layout}: the samples are {own} of shape {shape}, which cannot be written so"
    )
