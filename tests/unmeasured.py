"""What a call has of the squares of gradients when none were measured."""

from __future__ import annotations

import numpy as np

NOT_MEASURED = np.zeros((0, 2, 2), np.float32)
