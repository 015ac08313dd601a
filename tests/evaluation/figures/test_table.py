"""The figures and their names, which the command line knows without what computes them."""

from __future__ import annotations

import subprocess
import sys

from hpcgan.evaluation.figures.names import DEFAULT, NAMES, OF_CLASSES, TOGETHER
from hpcgan.evaluation.figures.table import FIGURES


def test_every_figure_has_its_name() -> None:
    assert tuple(FIGURES) == NAMES
    assert {*DEFAULT, "two_sample", *OF_CLASSES} == set(NAMES)
    assert set(TOGETHER.values()) <= set(NAMES)


def test_no_command_loads_what_computes_figures_before_it_needs_it() -> None:
    """Every rank of every command would wait for it."""
    program = "import hpcgan.cli, sys; print('scipy' in sys.modules, 'tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == "False False\n"
