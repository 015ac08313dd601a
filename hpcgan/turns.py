"""Whose turn it is: several sources of samples take turns in fixed proportions.

Proportions are whole numbers of ten-thousandths, so that they are exact and the turns of the first
10,000 samples repeat. Sample i's source, and which of that source's samples it is, depend on the
proportions and i alone.
"""

from __future__ import annotations

import heapq

import numpy as np

# Samples after which the turns repeat: proportions are whole numbers of its parts.
PERIOD = 10_000


def parts(weights: np.ndarray) -> np.ndarray:
    """Return weights, (K,), at least 0 and not all 0, as whole numbers that sum to ``PERIOD``.

    Each is rounded down, and those with the largest remainders get one more; the first of equals.
    """
    exact = weights * (PERIOD / weights.sum())
    whole = np.floor(exact).astype(np.int64)
    more = np.argsort(whole - exact, kind="stable")[: PERIOD - whole.sum()]
    whole[more] += 1
    return whole


class Turns:
    """The order in which K sources take turns.

    Of the first n samples, for every n, source k makes more than n p_k / PERIOD - 1 and fewer than
    n p_k / PERIOD + 1.
    """

    def __init__(self, proportions: np.ndarray) -> None:
        """Take the parts p_k of each source, (K,) int64, at least 1 each; they sum to ``PERIOD``.

        The turn j of source k is in the samples that begin before (j + 1) PERIOD / p_k and end
        after j PERIOD / p_k: whichever of them it is, the source is less than one sample from its
        proportion. A sample goes to the turn, of those that have begun, that must end first (to
        the lowest source of several). So all end in time, if that is possible at all (Jackson,
        1955); and it is, as the sources could divide each sample by their proportions (Baruah,
        Cohen, Plaxton and Varvel, 1996).
        """
        source = np.repeat(np.arange(len(proportions)), proportions)
        turn = np.arange(PERIOD) - np.repeat(np.cumsum(proportions) - proportions, proportions)
        begins = turn * PERIOD // proportions[source]
        ends = -(-(turn + 1) * PERIOD // proportions[source])
        waiting = np.lexsort((source, begins))[::-1].tolist()
        open_turns: list[tuple[int, int]] = []
        order = []
        for sample in range(PERIOD):
            while waiting and begins[waiting[-1]] <= sample:
                opened = waiting.pop()
                heapq.heappush(open_turns, (int(ends[opened]), int(source[opened])))
            order.append(heapq.heappop(open_turns)[1])
        self._proportions = proportions
        self._source = np.array(order)  # of each sample of a period
        # The samples of a period that each source makes, one source after the other.
        self._samples = np.split(np.argsort(self._source, kind="stable"), np.cumsum(proportions))
        self._number = np.empty(PERIOD, np.int64)  # of a sample, among its source's in a period
        for samples in self._samples:
            self._number[samples] = np.arange(len(samples))

    def of(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which source makes each of some samples, and its number among that source's.

        All are int64, (n,).
        """
        periods, within = np.divmod(samples, PERIOD)
        source = self._source[within]
        return source, periods * self._proportions[source] + self._number[within]

    def samples(self, source: int, numbers: np.ndarray) -> np.ndarray:
        """Return which samples some of a source's own, by their numbers there, are; (n,) int64."""
        periods, within = np.divmod(numbers, self._proportions[source])
        return periods * PERIOD + self._samples[source][within]

    def made(self, source: int, count: int) -> int:
        """Return how many of the first ``count`` samples a source makes."""
        periods, rest = divmod(count, PERIOD)
        within = int(np.searchsorted(self._samples[source], rest))
        return periods * int(self._proportions[source]) + within
