"""The order of a source's axes, and how its samples become (H, W, C) or (D, H, W, C).

Axes that can be meant in two ways are refused with the option that says which: data that are read
the wrong way train to nonsense, and nobody sees it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from data_tools.account import Account
from data_tools.formats import Images
from hpcgan.data.kinds import MOST_CHANNELS
from hpcgan.errors import DataError

# Of each layout, the axes of the source in the order in which they are written, channels last; -1
# is an axis of one channel that the source lacks. MATLAB writes its axes in reverse: its arrays of
# H x W x C x N are (N, C, W, H) in the file.
_ORDERS: dict[str, dict[int, tuple[int, ...]]] = {
    "NHWC": {4: (1, 2, 3)},
    "NCHW": {4: (2, 3, 1)},
    "NDHWC": {5: (1, 2, 3, 4)},
    "NCDHW": {5: (2, 3, 4, 1)},
    "NHW": {3: (1, 2, -1)},
    "NDHW": {4: (1, 2, 3, -1)},
    "MATLAB": {3: (2, 1, -1), 4: (3, 2, 1), 5: (4, 3, 2, 1)},
}


def arrange(
    images: Images, layout: str | None, sample: tuple[int, ...] | None, account: Account
) -> Images:
    """Return images whose samples are (H, W, C) or (D, H, W, C).

    Args:
        images: of any axes; those with a ``layout`` of their own have that.
        layout: the order of the axes, (N, *sample) where ``sample`` is given; None if it is plain.
        sample: the shape of a sample that is flattened in the source.
        account: gets what was done.

    Raises:
        DataError: the axes can be meant in two ways, or do not fit ``layout`` or ``sample``.
    """
    shape = images.shape
    if sample is not None:
        if math.prod(sample) != math.prod(shape[1:]):
            raise DataError(
                f"{images.origin}: samples of shape {shape[1:]} have {math.prod(shape[1:])} "
                f"values, and --shape {','.join(map(str, sample))} has {math.prod(sample)}"
            )
        shape = (shape[0], *sample)
    if 0 in shape:
        raise DataError(f"{images.origin}: the images have shape {shape}; there are no values")
    if images.layout and layout not in (None, images.layout):
        raise DataError(
            f"{images.origin}: its axes are {images.layout}, which is known of such sources; "
            f"--layout {layout} is not for it"
        )
    known = images.layout if sample is None else None
    layout = layout or known or _plain(shape, sample, images.origin)
    order = _order(layout, shape, images.origin)
    if shape == images.shape and order == tuple(range(1, len(shape))):
        return images
    arranged = tuple(1 if axis < 0 else shape[axis] for axis in order)
    inner = [axis for axis in order if axis > 0]
    account.note(f"samples {images.shape[1:]} became {arranged} ({layout})")

    def read(run: range) -> np.ndarray:
        part = images.read(run).reshape(len(run), *shape[1:])
        return part.transpose(0, *inner).reshape(len(run), *arranged)

    return replace(images, shape=(shape[0], *arranged), read=read)


def _order(layout: str, shape: tuple[int, ...], origin: str) -> tuple[int, ...]:
    """Return the axes of a layout in the order in which they are written."""
    orders = _ORDERS[layout]
    if len(shape) not in orders:
        raise DataError(
            f"{origin}: the images have shape {shape}, which has {len(shape)} axes; --layout "
            f"{layout} has {' or '.join(map(str, orders))}"
        )
    return orders[len(shape)]


def _plain(shape: tuple[int, ...], sample: tuple[int, ...] | None, origin: str) -> str:
    """Return the only layout that a shape can have; of a given ``sample``, three are D, H, W."""
    if sample is not None and len(sample) == 3:
        if sample[-1] > MOST_CHANNELS and sample[0] > MOST_CHANNELS:
            return "NDHW"
        raise DataError(
            f"{origin}: --shape {','.join(map(str, sample))} can be meant in several ways: "
            "--layout NDHW says that it is D,H,W, NHWC that it is H,W,C, NCHW that it is C,H,W"
        )
    begin = f"{origin}: the images have shape {shape}"
    if len(shape) == 3:
        return "NHW"
    if len(shape) == 2:
        raise DataError(f"{begin}; where samples are flattened, --shape D,H,W or H,W gives theirs")
    if len(shape) not in (4, 5):
        raise DataError(f"{begin}; they must be (N, H, W), (N, H, W, C) or (N, D, H, W, C)")
    last, first = ("NHWC", "NCHW") if len(shape) == 4 else ("NDHWC", "NCDHW")
    if shape[-1] <= MOST_CHANNELS:
        return last
    if shape[1] <= MOST_CHANNELS:
        raise DataError(
            f"{begin}: the channels seem to be first; --layout {first} puts them last, --layout "
            f"{last} says that they are last already"
        )
    ways = f"--layout {last} says that there are {shape[-1]} channels"
    if len(shape) == 4:
        ways += f", {first} that there are {shape[1]}, NDHW that these are volumes"
    raise DataError(f"{begin}, of which it is not plain what the axes are: {ways}")
