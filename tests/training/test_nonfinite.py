"""Updates that are left out: when a run goes on without them, and when not."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.config_beside import WatchConfig
from hpcgan.errors import RunError
from hpcgan.training.callback import Call
from hpcgan.training.nonfinite import NonFinitePolicy, RollbackRequired
from tests.unmeasured import NOT_MEASURED


def call(first: int, *skipped: int) -> Call:
    """Return a call after ``first`` steps; 1 for each update that was left out, else 0."""
    return Call(
        first, len(skipped), np.zeros((len(skipped), 2)), np.array(skipped) > 0, False, NOT_MEASURED
    )


def test_the_first_bad_step_ends_a_run_that_must_not_skip() -> None:
    policy = NonFinitePolicy(WatchConfig(nonfinite="stop"), "float32")
    policy.after_call(call(7, 0, 0, 0))
    with pytest.raises(RunError, match=r"of step 12 are not finite") as caught:
        policy.after_call(call(10, 0, 1, 1))
    assert caught.value.on_all_ranks
    # Some updates of step 12, and all of step 13, may have been applied: only what is written
    # counts.
    assert "as they were" not in str(caught.value)
    assert "the newest checkpoint is from before it" in str(caught.value)


def test_some_in_a_row_may_be_skipped_across_calls() -> None:
    policy = NonFinitePolicy(WatchConfig(nonfinite="skip", skips=3), "float32")
    policy.after_call(call(0, 0, 1, 1))
    policy.after_call(call(3, 1, 0, 1))
    policy.after_call(call(6, 1, 1, 0))
    with pytest.raises(
        RunError, match=r"^in 4 steps in a row, to step 13, an update was"
    ) as caught:
        policy.after_call(call(9, 1, 1, 1, 1))
    assert caught.value.on_all_ranks


def test_half_precision_skips_in_any_case() -> None:
    policy = NonFinitePolicy(WatchConfig(nonfinite="stop", skips=1), "mixed_float16")
    policy.after_call(call(0, 1, 0, 1, 0))
    with pytest.raises(RunError, match=r"^in 2 steps in a row, to step 6"):
        policy.after_call(call(4, 1, 1))


def test_a_run_that_rolls_back_does_so_at_once_or_after_the_skips_of_half_precision() -> None:
    policy = NonFinitePolicy(WatchConfig(nonfinite="rollback", skips=2), "float32")
    policy.after_call(call(0, 0, 0))
    with pytest.raises(RollbackRequired, match="of step 4 are not finite"):
        policy.after_call(call(2, 0, 1))
    policy = NonFinitePolicy(WatchConfig(nonfinite="rollback", skips=2), "mixed_float16")
    policy.after_call(call(0, 1, 1))
    with pytest.raises(RollbackRequired, match="of step 3 are not finite"):
        policy.after_call(call(2, 1, 0))


def test_after_a_reset_it_counts_from_0() -> None:
    policy = NonFinitePolicy(WatchConfig(nonfinite="skip", skips=2), "float32")
    policy.after_call(call(0, 1, 1))
    policy.reset()
    policy.after_call(call(0, 1, 1))
    with pytest.raises(RunError, match=r"^in 3 steps in a row, to step 3"):
        policy.after_call(call(2, 1))
