"""The line at the end of a run, for scripts."""

from __future__ import annotations

from hpcgan.training.breakdown import StepBreakdown
from hpcgan.training.result import result_line


def _facts(*lines):
    """Return the facts of a run of two hosts with these (speed, loss, slowest rank)."""
    metrics = [
        {"images_per_second": speed, "discriminator_loss": loss, "generator_loss": 2 * loss}
        for speed, loss, _ in lines
    ]
    breakdowns = [
        StepBreakdown(3.0, 0.5, 0.25, 0.0, 0.25, 0.0, 0.0, rank, 0.1 * rank) for *_, rank in lines
    ]
    line = result_line(["a", "b", "a"], 96, (10, 60), 25.0, metrics, breakdowns)
    program, *facts = line.split(" ")
    assert program == "hpcgan-result:"
    return dict(fact.split("=") for fact in facts)


def test_the_first_line_in_which_the_update_is_compiled_does_not_count():
    facts = _facts((10.0, 9.0, 0), (400.0, 1.0, 2), (500.0, 1.5, 1), (300.0, 0.5, 2))
    assert facts == {
        "images_per_second": "400.0",
        "ranks": "3",
        "hosts": "2",
        "images_per_step": "96",
        "steps": "50",
        "last_step": "60",
        "images": "4800",
        "seconds": "25.0",
        "compute": "0.7500",
        "exchange": "0.1250",
        "wait": "0.0625",
        "input_wait": "0.0000",
        "checkpoint": "0.0625",
        "journal": "0.0000",
        "evaluate": "0.0000",
        "slowest_rank": "2",
        "slowest_rank_behind": "0.2000",
        "discriminator_loss": "0.5",
        "generator_loss": "1",
    }


def test_a_run_with_one_line_has_the_figures_of_that_one():
    facts = _facts((10.0, 9.0, 1))
    assert (facts["images_per_second"], facts["slowest_rank"]) == ("10.0", "1")


def test_a_run_that_stopped_before_its_first_line_has_the_same_keys():
    facts = _facts()
    assert facts["images_per_second"] == "192.0"  # 4800 images in 25 seconds
    assert facts["compute"] == facts["slowest_rank"] == facts["generator_loss"] == "nan"
    assert facts.keys() == _facts((10.0, 9.0, 1)).keys()
