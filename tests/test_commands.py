"""The commands as their users run them: whole programs under mpirun, what they print and leave."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from launching import CONFIG, only_line, run
from PIL import Image

from hpcgan import pictures
from hpcgan.generate import generate
from hpcgan.generation.form import Output
from hpcgan.generation.sampler import Wanted


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with data and a config."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = images
        file["flat"] = images[..., 0]
        file["doubles"] = images.astype(np.float64)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def _only_line(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """Return what a failed command said; check that it is one line, once, without a traceback."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("hpcgan: ")]
    return only_line(done.stderr)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("none.yaml", r"none\.yaml: there is no such config file \(seen from .*"),
        ("config.yaml --data.files [none.h5]", r"none\.h5: there is no such data file \(seen .*"),
        (
            "config.yaml --data.images pictures",
            r"data\.h5: there is no dataset 'pictures'; its datasets are: doubles, flat, images",
        ),
        (
            "config.yaml --data.images flat",
            r"data\.h5: dataset 'flat' has shape \(40, 8, 8\); it .*",
        ),
        ("config.yaml --data.images doubles", r"data\.h5: dataset 'doubles' has dtype float64; .*"),
        (
            "config.yaml --train.batchsize 4",
            r"command line: unknown key 'train\.batchsize'; the nearest known one is "
            r"'train\.batch_size'",
        ),
        (
            "config.yaml --train.batch_size 21",
            r"train\.batch_size is 21, but a shard of data\.h5 .*",
        ),
        (
            "config.yaml --run.restarts 2 --data.files [none.h5]",
            r"none\.h5: there is no such data file \(seen .*",
        ),
        ("config.yaml --data.shards 41", r"data\.h5: 40 samples cannot be divided into 41 .*"),
        ("config.yaml --data.shards 1", r"data\.shards is 1, but there are 2 ranks, .*"),
        ("config.yaml --resume none.h5", r"none\.h5: there is no such checkpoint \(seen from .*"),
    ],
)
def test_bad_input_is_told_once_by_two_ranks(python, place, words, line):
    done = python("-m", "hpcgan", "train", *words.split(), ranks=2)
    assert re.fullmatch(line, _only_line(done))
    assert not (place / "runs").exists()


def test_an_unknown_key_in_the_file_is_told_once(python, place):
    (place / "config.yaml").write_text(CONFIG + "optimiser: {}\n")
    done = python("-m", "hpcgan", "train", "config.yaml", ranks=2)
    assert _only_line(done).endswith(
        "unknown key 'optimiser'; the nearest known one is 'optimizer'"
    )


def test_fewer_samples_than_ranks_are_told_once(python, place):
    with h5py.File(place / "data.h5", "w") as file:
        file["images"] = np.zeros((2, 8, 8, 1), np.uint8)
    done = python("-m", "hpcgan", "train", "config.yaml", "--train.batch_size=1", ranks=3)
    assert _only_line(done).startswith("data.h5: 2 samples cannot be divided into 3 shards")


def test_a_command_line_that_is_wrong_ends_with_2(python, place):
    for words in (
        ["train"],
        ["trian", "x"],
        ["generate", "c.h5", "--count", "x", "--out", "o.png"],
    ):
        done = python("-m", "hpcgan", *words, ranks=2)
        assert re.search(r"; see hpcgan.* --help$", _only_line(done))


def test_tasks_of_srun_that_do_not_find_each_other_are_refused_once(python, place, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    done = python("-m", "hpcgan", "train", "config.yaml")
    assert _only_line(done).startswith("srun started 2 tasks that do not find each other")
    monkeypatch.setenv("SLURM_PROCID", "1")
    silent = python("-m", "hpcgan", "train", "config.yaml")
    assert (silent.returncode, silent.stdout, silent.stderr) == (2, "", "")


def test_help_lists_the_keys_without_starting_mpi(python, place):
    program = """
import sys
from hpcgan.cli import main
try:
    main()
finally:
    found = {"mpi4py", "tensorflow", "horovod"} & set(sys.modules)
    assert not found, found
"""
    done = python("-c", program, "train", "--help")
    assert done.returncode == 0, done.stderr
    for word in ("CONFIG.yaml", "--resume", "--train.batch_size", "--optimizer.generator.beta_1"):
        assert word in done.stdout


_ONE_FAILS = """
import argparse, sys
from hpcgan import command, errors

def run(world, arguments):
    if world.rank == 1:
        raise {error}
    world.barrier()

sys.exit(command.run("hpcgan", lambda: argparse.Namespace(run=run)))
"""


def test_a_bug_on_one_rank_ends_all_with_one_traceback(python):
    done = python("-c", _ONE_FAILS.format(error="ValueError('a bug')"), ranks=3)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "hpcgan: rank 1 of 3 on " in done.stderr
    assert "ValueError: a bug" in done.stderr


def test_a_bug_of_a_process_alone_ends_with_its_traceback_and_no_word_of_mpi(python):
    program = "from hpcgan.world import World; World(); raise ValueError('a bug')"
    done = python("-c", program)
    assert done.returncode == 1
    assert done.stderr.startswith("hpcgan: rank 0 of 1 on ")
    assert done.stderr.endswith("ValueError: a bug\n")


def test_a_user_error_of_one_rank_in_mid_run_ends_all_with_one_line(python):
    error = "errors.DataError('part.h5: gone')"
    done = python("-c", _ONE_FAILS.format(error=error), ranks=3)
    assert _only_line(done) == "rank 1 of 3: part.h5: gone"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Return a checkpoint of a short run."""
    place = tmp_path_factory.mktemp("trained")
    with h5py.File(place / "data.h5", "w") as file:
        file["images"] = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    (place / "config.yaml").write_text(CONFIG)
    done = run(place, "-m", "hpcgan", "train", "config.yaml", "--train.steps", "10")
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if line.strip()]
    return place / "runs" / "hpcgan"


def test_a_log_file_gets_plain_lines_and_a_terminal_a_bar(python, place):
    words = ["-m", "hpcgan", "train", "config.yaml", "--train.steps", "20"]
    plain = python(*words, "--run-dir", "plain", "--timeline", ranks=2)
    assert plain.returncode == 0, plain.stderr
    _check_timeline(place / "plain" / "timeline.json")
    assert plain.stdout.splitlines()[-1].startswith("hpcgan-result: images_per_second=")
    assert [line.split()[1] for line in plain.stdout.splitlines() if line.startswith("step ")] == [
        "10/20",
        "20/20",
    ]
    assert "%|" not in plain.stdout + plain.stderr
    seen = python("-c", _ON_A_TERMINAL, *words, "--run-dir", "seen")
    assert seen.returncode == 0, seen.stderr
    assert "100%|" in seen.stdout
    assert "step 20/20" not in seen.stdout


def _check_timeline(path: Path) -> None:
    """Check what a run of 20 steps on two ranks did when."""
    events = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
    for rank in (0, 1):
        own = [e for e in events if e["pid"] == rank]
        steps = [e["args"]["step"] for e in own if e["name"] == "all-reduce"]
        assert steps == list(range(20))
        assert {"update", "compute"} <= {e["name"] for e in own}
    # A rank that is in an all-reduce is there together with the other.
    first, second = (
        [(e["ts"], e["ts"] + e["dur"]) for e in events if (e["pid"], e["name"]) == key]
        for key in ((0, "all-reduce"), (1, "all-reduce"))
    )
    assert all(a < d and c < b for (a, b), (c, d) in zip(first, second, strict=True))


# Runs its words under mpirun with a terminal of its own and repeats what is shown there.
_ON_A_TERMINAL = """
import os, pty, subprocess, sys
from pathlib import Path
ours, theirs = pty.openpty()
mpirun = [str(Path(sys.executable).with_name("mpirun")), "-n", "1"]
run = subprocess.Popen(
    [*mpirun, sys.executable, *sys.argv[1:]], stdin=theirs, stdout=theirs, stderr=theirs
)
os.close(theirs)
shown = b""
while True:
    try:
        part = os.read(ours, 4096)
    except OSError:  # Linux's way of telling that the other side is closed
        break
    if not part:
        break
    shown += part
sys.stdout.write(shown.decode(errors="replace"))
sys.exit(run.wait())
"""


def test_a_run_leaves_what_the_contract_says(trained):
    names = {str(p.relative_to(trained)) for p in trained.rglob("*") if p.is_file()}
    events = {name for name in names if name.startswith("tensorboard/events.out.tfevents")}
    assert events
    assert names - events == {
        "history.jsonl",
        "lock",
        "config.yaml",
        "metrics.jsonl",
        "samples/step_00000010.png",
        "checkpoints/step_00000000.h5",
        "checkpoints/step_00000010.h5",
    }


def test_generate_writes_each_format(world, trained, tmp_path):
    path = trained / "checkpoints" / "step_00000010.h5"
    for name in ("samples.h5", "samples.npz", "samples.png"):
        generate(world, path, Wanted(10, seed=4), Output(tmp_path / name))
    with h5py.File(tmp_path / "samples.h5") as file:
        images = file["images"][:]
    assert (images.shape, images.dtype) == ((10, 8, 8, 1), np.uint8)
    assert len(np.unique(images.reshape(10, -1), axis=0)) == 10
    assert np.array_equal(np.load(tmp_path / "samples.npz")["images"], images)
    with Image.open(tmp_path / "samples.png") as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(pictures.grid(images)))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("none.h5 --count 1 --out x.h5", r"none\.h5: there is no such checkpoint \(seen from .*"),
        ("CHECKPOINT --count 0 --out x.h5", r"--count 0 --seed 0: count is at least 1, .*"),
        ("CHECKPOINT --count 1 --out x.jpg", r"--out x\.jpg: the suffix must be one of .*"),
        (
            "CHECKPOINT --count 1 --label 2 --out x.h5",
            r"--label 2: .* is of networks without labels",
        ),
    ],
)
def test_generate_refuses_what_is_wrong(python, trained, tmp_path, words, line):
    path = str(trained / "checkpoints" / "step_00000010.h5")
    done = python("-m", "hpcgan", "generate", *words.replace("CHECKPOINT", path).split(), ranks=2)
    assert re.fullmatch(line, _only_line(done))
    assert list(tmp_path.iterdir()) == []


_OWN_NETWORKS = """
import keras

def generator(config, sample_shape):
    return keras.Sequential([
        keras.Input((config.latent_dim,)),
        keras.layers.Dense(64, activation="tanh", name="pixels"),
        keras.layers.Dropout(0.1, name="dropout"),
        keras.layers.Reshape(sample_shape, name="sample"),
    ])

def discriminator(config, sample_shape):
    return keras.Sequential([
        keras.Input(sample_shape),
        keras.layers.Flatten(name="flat"),
        keras.layers.GaussianNoise(0.1, name="noise"),
        keras.layers.Dense(1, name="logit"),
    ])
"""


def test_networks_of_ones_own_are_trained_and_run_from_a_checkpoint_only_with_leave(python, place):
    (place / "mynets.py").write_text(_OWN_NETWORKS)
    own = ["--model.generator=mynets:generator", "--model.discriminator=mynets:discriminator"]
    words = ["-m", "hpcgan", "train", "config.yaml", *own, "--train.steps"]
    for steps, ranks in (("10", None), ("20", 2)):
        done = python(*words, steps, "--data.shards=2", ranks=ranks)
        assert done.returncode == 0, done.stderr
    assert "step_00000010.h5, step 10, in" in done.stdout
    path = "runs/hpcgan/checkpoints/step_00000020.h5"
    generate = ["-m", "hpcgan", "generate", path, "--count", "3", "--out", "s.npz"]
    refused = python(*generate)
    assert _only_line(refused) == (
        f"{path}: its networks are built by mynets:generator and mynets:discriminator; if you "
        "trust that code and the file, use hpcgan generate with --trust-networks"
    )
    done = python(*generate, "--trust-networks")
    assert done.returncode == 0, done.stderr
    assert np.load(place / "s.npz")["images"].shape == (3, 8, 8, 1)
    wrong = python(*words[:-1], "--model.generator=mynets:nothing", "--run-dir=other")
    assert "mynets.py has no function nothing" in _only_line(wrong)
