"""Updates that are left out: when a run goes on without them, and when not."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.config import WatchConfig
from hpcgan.errors import RunError
from hpcgan.training.watch import Diverged, Skips


def test_the_first_bad_step_ends_a_run_that_must_not_skip() -> None:
    skips = Skips(WatchConfig(nonfinite="stop"), "float32")
    skips.check(np.array([0, 0, 0]), 10)
    with pytest.raises(RunError, match=r"of step 12 are not finite") as caught:
        skips.check(np.array([0, 1, 1]), 13)
    assert caught.value.agreed
    # Of step 12 some turns, and all of step 13, may have been applied: only what is written counts.
    assert "as they were" not in str(caught.value)
    assert "the newest checkpoint is from before it" in str(caught.value)


def test_so_many_in_a_row_may_be_skipped_across_calls() -> None:
    skips = Skips(WatchConfig(nonfinite="skip", skips=3), "float32")
    skips.check(np.array([0, 1, 1]), 3)
    skips.check(np.array([1, 0, 1]), 6)
    skips.check(np.array([1, 1, 0]), 9)
    with pytest.raises(RunError, match=r"^4 updates in a row, to step 13, were left out, or turns"):
        skips.check(np.array([1, 1, 1, 1]), 13)


def test_half_precision_skips_in_any_case() -> None:
    skips = Skips(WatchConfig(nonfinite="stop", skips=1), "mixed_float16")
    skips.check(np.array([1, 0, 1, 0]), 4)
    with pytest.raises(RunError, match="2 updates in a row"):
        skips.check(np.array([1, 1]), 6)


def test_a_run_that_rolls_back_does_so_at_once_or_after_the_skips_of_half_precision() -> None:
    skips = Skips(WatchConfig(nonfinite="rollback", skips=2), "float32")
    skips.check(np.array([0, 0]), 2)
    with pytest.raises(Diverged, match="of step 4 are not finite"):
        skips.check(np.array([0, 1]), 4)
    skips = Skips(WatchConfig(nonfinite="rollback", skips=2), "mixed_float16")
    skips.check(np.array([1, 1]), 2)
    with pytest.raises(Diverged, match="of step 3 are not finite"):
        skips.check(np.array([1, 0]), 4)
