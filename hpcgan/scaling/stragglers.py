"""How long the slowest of many ranks takes: order statistics of their compute times.

In synchronous training every step waits for the slowest rank. If the times of p ranks vary, the
mean step takes the expected maximum of p draws, which grows with p though no rank is slower than
before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special


@lru_cache(maxsize=4096)
def slowest_of(ranks: int, variation: float) -> float:
    """Return the expected compute time of the slowest of ``ranks`` ranks, in means of all.

    The times are gamma-distributed, with mean 1 and the standard deviation ``variation``: positive,
    skewed to the slow side, near a normal distribution for small variations, and exponential for 1.
    """
    if ranks == 1 or variation == 0:
        return 1.0
    shape = variation**-2
    return expected_maximum(lambda tail: special.gammainccinv(shape, tail) / shape, ranks)


def expected_maximum(upper: Callable[[np.ndarray], np.ndarray], draws: int) -> float:
    """Return the expected maximum of independent draws, exact to about 1e-9 for any number.

    E[max] is the mean of F^-1(u^(1/n)) over uniform u (David and Nagaraja, Order Statistics, 2003,
    section 3.1). With u = exp(-e^-t), the weight of t is Gumbel's density and the integrand smooth,
    with tails that vanish: so the trapezoidal rule converges exponentially, and no power of a
    number near 1 is taken.

    Args:
        upper: the inverse of the distribution's survival function, 1 - F.
        draws: n.
    """
    t = np.linspace(-4.5, 50, 2181)
    tail = np.minimum(-np.expm1(-np.exp(-t) / draws), np.nextafter(1, 0))  # 1 may be infinity
    density = np.exp(-t - np.exp(-t))
    return float(np.sum(upper(tail) * density) * (t[1] - t[0]))
