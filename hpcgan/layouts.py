"""The order of the axes in which generated samples are written.

The networks make (N, H, W, C) and (N, D, H, W, C). Others keep the channels first, or have no axis
for one channel; "flat" is (N, D * H * W * C), as the CaloChallenge keeps showers.
"""

from __future__ import annotations

import numpy as np

from hpcgan.errors import ConfigError

LAYOUTS = ("NHWC", "NCHW", "NDHWC", "NCDHW", "NHW", "NDHW", "flat")


def check(layout: str, sample_shape: tuple[int, ...]) -> None:
    """Refuse a layout that samples of a shape cannot be written in.

    Raises:
        ConfigError: it is one.
    """
    own = _own(len(sample_shape))
    without = own[:-1] if sample_shape[-1] == 1 else own
    if layout != "flat" and sorted(layout) not in (sorted(own), sorted(without)):
        raise ConfigError(
            f"--layout {layout}: the samples are {own} of shape {sample_shape}, which cannot be "
            "written so"
        )


def arranged(samples: np.ndarray, layout: str) -> np.ndarray:
    """Return samples (N, H, W, C) or (N, D, H, W, C) with their axes in the order of a layout."""
    if layout == "flat":
        return samples.reshape(len(samples), -1)
    own = _own(samples.ndim - 1)
    if "C" not in layout:
        samples, own = samples[..., 0], own[:-1]
    return np.ascontiguousarray(samples.transpose([own.index(axis) for axis in layout]))


def _own(axes: int) -> str:
    """Return the layout in which the networks make samples of a number of axes."""
    return {3: "NHWC", 4: "NDHWC"}[axes]
