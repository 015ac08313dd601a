"""``hpcgan evaluate`` on one rank: what it refuses, which samples it compares, what it writes."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from hpcgan.checkpoint import GROUPS, Checkpoint, path_of, write
from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.evaluation import evaluate, parts, report
from hpcgan.evaluation.evaluate import Wanted
from hpcgan.evaluation.subject import Named, open_subject
from hpcgan.world import World

SHAPE = (4, 5, 1)


def write_samples(path: Path, count: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """Write samples that differ, and return them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *SHAPE)).astype(dtype)
    with h5py.File(path, "w") as file:
        file["images"] = images
    return images


def write_run(run: Path, model: ModelConfig, dtype: str = "uint8", values: str = "") -> None:
    """Write the checkpoint of step 7 of a run, whose networks have no variables."""
    config = Config(data=DataConfig(["real.h5"], shards=1), model=model)
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in GROUPS}
    path = path_of(run / "checkpoints", 7)
    run.mkdir()
    write(Checkpoint(path, 7, 1, config, SHAPE, dtype, "x", 0, 0, groups, (), SampleInfo(values)))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with a run and files, of which it is the current one."""
    write_samples(tmp_path / "real.h5", 100)
    write_samples(tmp_path / "fake.h5", 40, seed=1)
    write_samples(tmp_path / "few.h5", 11)
    write_samples(tmp_path / "single.h5", 23)
    write_samples(tmp_path / "float.h5", 100, "float32")
    write_samples(tmp_path / "infinite.h5", 40, "float32")
    with h5py.File(tmp_path / "infinite.h5", "r+") as file:
        file["images"][3, 0, 0, 0] = np.inf
    write_samples(tmp_path / "mapped.h5", 40, "float32")
    with h5py.File(tmp_path / "mapped.h5", "r+") as file:
        file["images"].attrs["values"] = "scale:2,0"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros((40, 8, 8, 1), np.uint8)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "fake.h5").read_bytes())
    os.truncate(tmp_path / "cut.h5", 900)
    write_run(tmp_path / "run", ModelConfig())
    write_run(tmp_path / "own", ModelConfig(generator="trap:network"))
    write_run(tmp_path / "mapped", ModelConfig(), "float32", "scale:3,0")
    (tmp_path / "empty").mkdir()
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "population.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


CASES = {
    "nowhere": "nowhere: there is no such run, checkpoint or file of samples (seen from ",
    "empty": "empty: there is no whole checkpoint",
    "many": "many: is a population's; name a member, many/member_0 say, or a file of samples of",
    "run --checkpoint 8": "run/checkpoints/step_00000008.h5: there is no such checkpoint",
    "run --checkpoint best": "run/checkpoints/best.h5: there is no such checkpoint",
    "run --checkpoint worst": "argument --checkpoint: 'worst' is neither best nor newest nor a",
    "fake.h5 --real real.h5 --checkpoint 7": "--checkpoint 7 is for a run directory, not fake.h5",
    "fake.h5": "fake.h5: is a file of samples; name real ones, with --real",
    "cut.h5 --real real.h5": "cut.h5: not readable as HDF5: ",
    "fake.h5 --real none.h5": "none.h5: there is no such data file (seen from ",
    "fake.h5 --real real.h5 --images x": (
        "real.h5: there is no dataset 'x'; its datasets are: images"
    ),
    "run --real other.h5": (
        "other.h5: holds uint8 samples of shape (8, 8, 1), but those of "
        "run/checkpoints/step_00000007.h5 are uint8 of shape (4, 5, 1); they cannot be compared"
    ),
    "run --held-out other.h5": "real.h5: holds uint8 samples of shape (4, 5, 1), but those of oth",
    "float.h5 --real real.h5": "real.h5: holds uint8 samples of shape (4, 5, 1), but those of flo",
    "mapped --real mapped.h5": "mapped.h5: its values were mapped by scale:2,0, and those of mapp",
    "mapped.h5 --real float.h5": "float.h5: its values were mapped by nothing, and those of mapped",
    "few.h5 --real real.h5": "few.h5: has 11 samples; a comparison needs 12 of them",
    "run --real single.h5": "single.h5: has 23 samples; a comparison needs 24 of them",
    "run --held-out few.h5": "few.h5: has 11 samples; a comparison needs 12 of them",
    "infinite.h5 --real float.h5": "infinite.h5: sample 3 of 'images' holds values that are not",
    "run --real infinite.h5": "infinite.h5: holds float32 samples of shape",
    "run --samples 11": "argument --samples: '11' is no whole number from 12",
    "run --seed -1": "argument --seed: '-1' is no whole number from 0",
    "run --metrics frechet,kernal": (
        "argument --metrics: there is no figure 'kernal'; did you mean kernel?"
    ),
    "run --metrics recal": "argument --metrics: there is no figure 'recal'; did you mean recall?",
    "run --metrics fid": "argument --metrics: there is no figure 'fid'; there are frechet, ",
    "run --metrics score": "--metrics score is for --features classifier:FILE alone",
    "run --features pcaa": "--features pcaa: is none of pca, imagenet, classifier:FILE, FILE.keras",
    "run --features classifier:none.h5": "none.h5: there is no such ",
    "run --input-range 1,1": "argument --input-range: '1,1' is no LOW,HIGH, such as 0,255",
    "run --out x.txt": "--out x.txt: the suffix must be .json",
    "own": "own/checkpoints/step_00000007.h5: its networks are built by trap:network; if you ",
}

# All cases in one process, for which the long start is made once; TensorFlow is for none of them.
_ALL_CASES = """
import json, sys
from hpcgan import cli
for words in json.loads(sys.argv[1]):
    sys.argv = ["hpcgan", "evaluate", *words.split()]
    print("status", cli.main(), file=sys.stderr)
assert "tensorflow" not in sys.modules
"""


def test_bad_input_is_one_line_before_anything_is_generated(python, place: Path) -> None:
    done = python("-c", _ALL_CASES, json.dumps(list(CASES)))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    said = done.stderr.splitlines()
    assert said[1::2] == ["status 2"] * len(CASES), done.stderr
    for line, found in zip(CASES.values(), said[::2], strict=True):
        assert found.startswith(f"hpcgan: {line}")


def subject_of(world: World, path: str, real: str, held_out: str | None = None) -> Named:
    return Named(Path(path), real=[real], held_out=[held_out] if held_out else [])


@pytest.mark.parametrize(
    ("path", "held_out", "asked", "count", "noted"),
    [
        ("fake.h5", None, 30, 30, []),
        ("fake.h5", None, 60, 40, ["fake.h5: has 40 samples: "]),
        ("real.h5", None, 60, 50, ["real.h5: has 100 samples, fewer than two parts of 60: both"]),
        ("run", None, 60, 50, ["real.h5: has 100 samples, fewer than two parts of 60: both"]),
        ("run", "fake.h5", 60, 40, ["fake.h5: has 40 samples: "]),
        ("run", "fake.h5", 20, 20, []),
    ],
)
def test_there_are_as_many_of_each_kind_and_it_says_where_there_are_fewer(
    world: World,
    place: Path,
    path: str,
    held_out: str | None,
    asked: int,
    count: int,
    noted: list[str],
) -> None:
    subject = open_subject(world, subject_of(world, path, "real.h5", held_out))
    found, notes = parts.count(subject, asked)
    assert found == count
    assert len(notes) == len(noted)
    assert all(note.startswith(each) for note, each in zip(notes, noted, strict=True))
    reference, second = parts.read_real(world, subject, found, 3)
    assert len(reference.images) == len(second.images) == count
    both = {each.tobytes() for each in [*reference.images, *second.images]}
    assert len(both) == 2 * count  # disjoint
    with h5py.File("real.h5") as file:
        known = {each.tobytes() for each in file["images"][:]}
    assert {each.tobytes() for each in second.images} <= known
    assert (both <= known) == (held_out is None)


def test_figures_stand_beside_those_of_real_samples(world: World, place: Path) -> None:
    """Against what NumPy makes of the chosen samples."""
    named = subject_of(world, "fake.h5", "real.h5")
    found = evaluate.evaluate(world, named, Wanted(40, metrics=("frechet", "diversity", "copies")))
    assert (found.samples, found.features) == (40, "pca20")
    reference, second = parts.read_real(world, found.subject, 40, 0)
    with h5py.File("fake.h5") as file:
        made = file["images"][:]
    values = [each.reshape(40, 20) / 127.5 - 1 for each in (made, reference.images, second.images)]
    # With all components, distances are those of the values.
    fake, real, other = values
    assert found.metrics["frechet"].value == pytest.approx(frechet(fake, real))
    assert found.metrics["frechet"].floor == pytest.approx(frechet(other, real))
    assert found.metrics["copies"].value == share_of_copies(fake, real)
    assert found.metrics["copies"].floor == share_of_copies(other, real)


def test_of_a_held_out_reference_copies_are_of_the_training_samples(
    world: World, place: Path
) -> None:
    write_samples(place / "held.h5", 40, seed=5)
    named = subject_of(world, "fake.h5", "fake.h5", "held.h5")  # all samples are copies
    found = evaluate.evaluate(world, named, Wanted(metrics=["copies", "frechet", "recall"]))
    assert list(found.metrics) == ["copies", "frechet", "recall"]
    assert found.metrics["copies"].value == 1
    assert found.metrics["copies"].floor < 0.9
    assert found.metrics["frechet"].value == pytest.approx(found.metrics["frechet"].floor)
    assert found.metrics["frechet"].value > 0.1


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.linalg import sqrtm

    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    shift = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return float(shift + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real))


def share_of_copies(samples: np.ndarray, known: np.ndarray) -> float:
    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, np.newaxis] - b, axis=2)

    own = distances(known, known) + np.diag(np.full(len(known), np.inf))
    to_known = distances(samples, known)
    return float(np.mean(to_known.min(1) <= own.min(1)[to_known.argmin(1)]))


def test_what_is_printed_and_written(python, place: Path) -> None:
    write_samples(place / "real.h5", 2000, seed=7)
    words = "--real real.h5 --seed 2 --metrics frechet,physics,copies --out made/f.json"
    done = python("-m", "hpcgan", "evaluate", "fake.h5", *words.split())
    assert done.returncode == 0, done.stderr
    printed, warned = done.stdout, done.stderr
    content = json.loads(Path("made/f.json").read_text())
    assert list(content["metrics"])[:2] == ["frechet", "histogram"]
    assert (content["samples"], content["features"], content["seed"]) == (40, "pca20", 2)
    assert (content["step"], content["subject"], content["real"]) == (None, "fake.h5", ["real.h5"])
    first, head, *rows, line = printed.splitlines()
    assert first == "40 samples of fake.h5 against as many real ones of real.h5"
    assert head.split() == ["figure", "value", "floor", "ratio"]
    assert line.startswith("hpcgan-evaluation: samples=40 features=pca20 seed=2 frechet_pca20=")
    facts = dict(word.split("=") for word in line.split()[1:])
    for row, (key, figure) in zip(rows, content["metrics"].items(), strict=True):
        shown, value, floor, ratio = row.split()
        assert shown == (f"{key}_pca20" if key in ("frechet", "copies") else key)
        assert float(facts[shown]) == pytest.approx(figure["value"], rel=1e-7)
        assert float(facts[f"{shown}_floor"]) == pytest.approx(figure["floor"], rel=1e-7)
        assert float(value) == pytest.approx(figure["value"], rel=1e-5)
        assert float(floor) == pytest.approx(figure["floor"], rel=1e-5)
        assert float(ratio) == pytest.approx(figure["value"] / figure["floor"], rel=1e-2)
    assert warned.splitlines() == [f"hpcgan: warning: {note}" for note in content["notes"]]
    with Image.open("made/f-nearest.png") as picture:
        assert picture.size == (6 * 5, 6 * 4)  # 32 pictures, 6 in a row


def test_too_few_samples_for_the_features_are_warned_of(world: World, place: Path) -> None:
    found = evaluate.evaluate(
        world, subject_of(world, "fake.h5", "real.h5"), Wanted(12, metrics=["frechet"])
    )
    (note,) = found.notes
    assert note.startswith("12 samples are not more than the 20 dimensions of pca20: ")


def test_infinite_figures_are_null_in_json(world: World, place: Path) -> None:
    named = subject_of(world, "fake.h5", "real.h5")
    found = evaluate.evaluate(world, named, Wanted(metrics=["diversity"]))
    strange = dataclasses.replace(found, metrics={"diversity": evaluate.Figure(float("inf"), None)})
    content = json.loads(report.as_json(strange, 0))
    assert content["metrics"] == {"diversity": {"value": None, "floor": None}}
    assert "diversity_pca20=inf" in report.line(strange, 0)
    assert report.table(strange).splitlines()[-1].split() == ["diversity_pca20", "inf", "-", "-"]
