"""The log in MLPerf's format: its own checker accepts that of a real run."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from launching import CONFIG, only_line

from hpcgan.training.mlperf import mean_sample_error

_CHECKER = ["-m", "mlperf_logging.compliance_checker", "--usage", "hpc", "--ruleset", "3.0.0"]


def test_the_error_is_that_of_the_mean_sample():
    made = np.array([[[0.5, -0.5]], [[0.1, 0.5]]])  # means 0.3 and 0
    real = np.array([[[[0, 255]]], [[[255, 255]]]], np.uint8)  # means 0 and 1
    assert mean_sample_error(made, real) == pytest.approx((0.3 + 1.0) / 2)
    assert mean_sample_error(made, np.float32(real)) == pytest.approx((127.2 + 255) / 2)


def test_the_checker_accepts_the_log_of_a_run_that_ended_and_no_other(python, tmp_path):
    # Grey noise, whose mean a generator that has just begun is close to: the error is small.
    grey = np.random.default_rng(0).integers(110, 146, (40, 8, 8, 1), np.uint8)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = grey
    (tmp_path / "config.yaml").write_text(CONFIG)
    words = ["-m", "hpcgan", "train", "config.yaml", "--log.mlperf=true", "--train.steps=40"]
    words.append("--data.shards=2")
    stopped = python(*words, "--run.time_limit=1e-6")
    assert stopped.returncode == 85, stopped.stderr
    done = python(*words, ranks=2)
    assert done.returncode == 0, done.stderr
    assert ":::MLLOG" not in done.stdout
    run = tmp_path / "runs" / "hpcgan"
    logs = sorted(path.name for path in run.glob("mlperf_*"))
    assert logs == ["mlperf_00000000.log", "mlperf_00000001.log"]
    refused, accepted = (python(*_CHECKER, run / name) for name in logs)
    assert refused.returncode == 1
    assert "Required AT_LEAST_ONE occurrence of 'eval_error'" in refused.stderr
    assert accepted.returncode == 0, accepted.stderr
    assert "SUCCESS" in accepted.stderr
    _check_content(run / logs[1])
    assert '"status": "aborted"' in (run / logs[0]).read_text()


def _check_content(path: Path) -> None:
    """Check what the log says of a run of 40 steps, of 10 images each, on 40 samples."""
    lines = [json.loads(line.removeprefix(":::MLLOG ")) for line in path.read_text().splitlines()]
    values = {line["key"]: line["value"] for line in lines}
    assert (values["train_samples"], values["global_batch_size"]) == (40, 10)
    assert (values["number_of_ranks"], values["number_of_nodes"]) == (2, 1)
    evaluated = [line for line in lines if line["key"] == "eval_error"]
    assert [line["metadata"]["epoch_num"] for line in evaluated] == [2.5, 5.0, 7.5, 10.0]
    assert all(0 < line["value"] < 0.124 for line in evaluated)
    assert {line["metadata"]["file"] for line in lines} == {"hpcgan/training/mlperf.py"}
    times = {line["key"]: line["time_ms"] for line in lines}
    assert times["init_start"] < times["init_stop"] <= times["run_start"] < times["run_stop"]
    assert lines[-1]["metadata"]["status"] == "success"


def test_a_missing_package_is_told_before_the_start(python, data_file, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    program = """
import sys
sys.modules["mlperf_logging"] = None
from hpcgan.cli import main
sys.exit(main())
"""
    done = python("-c", program, "train", "config.yaml", "--log.mlperf=true", ranks=2)
    assert done.returncode == 2
    assert only_line(done.stderr) == (
        "log.mlperf is true, and mlperf-logging is not installed: pip install 'hpcgan[mlperf]'"
    )
