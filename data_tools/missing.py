"""Values that stand for missing ones: NaN, infinity, and the fill values of netCDF and CF files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FILL_ATTRIBUTES = ("_FillValue", "missing_value")
# Of floats that were never written (NC_FILL_FLOAT in netcdf.h).
_NETCDF_FILL = 9.96920996838687e36


def fill_values(attributes: Mapping[str, Any]) -> list[float]:
    """Return the fill values that a dataset's attributes name."""
    named = [attributes[name] for name in FILL_ATTRIBUTES if name in attributes]
    return [value for each in named for value in np.ravel(each).tolist()]


def is_fill(part: np.ndarray, fills: Sequence[float]) -> np.ndarray:
    """Return where values are fill values, of ``part``'s shape."""
    if part.dtype.kind == "f":
        fills = [*fills, _NETCDF_FILL]
    found = np.zeros(part.shape, bool)
    with np.errstate(over="ignore"):  # a fill value may be beyond float16
        for fill in fills:
            found |= part == fill  # rounded as the values are: -999.9 of float32, too
    return found
