"""Are runs that go wrong caught by the watchdog, and healthy ones left alone?

    python -m benchmarks.collapse [--seeds 3] [--at-once N] [--out DIR] [CASE ...]

Each run has one rank and, but for the showers, trains on Fashion-MNIST (Debian's package
dataset-fashion-mnist). It prints for each the steps until the first warning, and what it says; then
how many of the broken and of the healthy ones were warned of. Two further cases, "both rates 0.01"
and "with rollback", show what going back to the best checkpoint makes of a run that gets worse.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras

from benchmarks.measure import ROOT
from hpcgan.config import ModelConfig
from hpcgan.files import json_lines
from hpcgan.gan.models import mlp

FASHION = Path("/usr/share/datasets/fashion-mnist")
_POINTS = 50


def blind(config: ModelConfig, sample_shape: tuple[int, ...]) -> keras.Model:
    """Return the generator of ``mlp``, which does not see its latents: all its samples are one."""
    generator, _ = mlp.build(config, sample_shape)
    latents = keras.Input((config.latent_dim,))
    return keras.Model(latents, generator(keras.layers.Rescaling(0.0)(latents)))


def of_points(config: ModelConfig, sample_shape: tuple[int, ...]) -> keras.Model:
    """Return the generator of ``mlp`` of 50 different latents: it can make 50 samples."""
    generator, _ = mlp.build(config, sample_shape)
    latents = keras.Input((config.latent_dim,))
    code = keras.ops.one_hot(keras.ops.argmax(latents[:, :_POINTS], axis=1), config.latent_dim)
    return keras.Model(latents, generator(code))


_MLP = ["--model.name=mlp", "--train.steps=3000"]
_DCGAN = ["--model.name=dcgan", "--model.width=16", "--train.steps=1500"]
_RESNET = [
    *("--model.name=resnet", "--model.width=8", "--loss.name=hinge", "--train.steps=800"),
    *("--optimizer.generator.beta_1=0", "--optimizer.discriminator.beta_1=0"),
    "--optimizer.discriminator.learning_rate=0.0004",
]
_WASSERSTEIN = ["--loss.name=wasserstein", "--train.update=alternating"]

BROKEN: dict[str, list[str]] = {
    "D's rate x50": [*_DCGAN, "--optimizer.discriminator.learning_rate=0.03"],
    "G's rate 0.02": [*_DCGAN, "--optimizer.generator.learning_rate=0.02"],
    "G blind to z": [*_MLP, "--model.generator=benchmarks.collapse:blind"],
    "G of 50 points": [*_MLP, "--model.generator=benchmarks.collapse:of_points"],
    "WGAN without penalty": [
        *("--model.name=mlp", "--train.steps=2000", *_WASSERSTEIN, "--loss.gradient_penalty=0"),
        "--optimizer.generator.learning_rate=0.001",
        "--optimizer.discriminator.learning_rate=0.003",
    ],
    "D frozen": [*_DCGAN, "--optimizer.discriminator.learning_rate=1e-12"],
}
HEALTHY: dict[str, list[str]] = {
    "mlp": _MLP,
    "dcgan": _DCGAN,
    "resnet hinge": _RESNET,
    "WGAN-GP": [*_DCGAN, *_WASSERSTEIN, "--train.discriminator_steps=2"],
    "projection": [*_DCGAN, "--model.condition=projection", "--data.labels=labels"],
    "calorimeter": ["--train.steps=600"],
}
# A run that gets worse from its middle on, and one that then goes back.
_WORSE = [
    *("--model.name=mlp", "--train.steps=2000", "--optimizer.generator.learning_rate=0.01"),
    "--optimizer.discriminator.learning_rate=0.01",
]
ROLLBACK = {
    "both rates 0.01": _WORSE,
    "with rollback": [*_WORSE, "--watch.collapse=rollback"],
}


def main() -> None:
    """Make the runs, print a line for each, and the two counts."""
    cases = {**BROKEN, **HEALTHY, **ROLLBACK}
    parser = argparse.ArgumentParser("python -m benchmarks.collapse")
    parser.add_argument("cases", nargs="*", default=[*BROKEN, *HEALTHY], metavar="CASE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(cases)
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are: {', '.join(cases)}")
    with tempfile.TemporaryDirectory() as made:
        place = arguments.out or Path(made)
        place.mkdir(parents=True, exist_ok=True)
        _make_data(place)
        warned: dict[str, list[bool]] = {}
        with ThreadPoolExecutor(arguments.at_once) as pool:
            runs = [
                (name, seed, pool.submit(_run, place, name, cases[name], seed))
                for name in arguments.cases
                for seed in range(arguments.seeds)
            ]
            for name, seed, run in runs:
                warning, last = run.result()
                print(f"{name:<22} seed {seed}   {warning or 'no warning'}   {last}", flush=True)
                warned.setdefault(name, []).append(bool(warning))
        for kind, own in {"broken": BROKEN, "healthy": HEALTHY}.items():
            found = [each for name in own for each in warned.get(name, [])]
            print(f"{kind}: {sum(found)} of {len(found)} runs were warned of")


def _make_data(place: Path) -> None:
    """Convert Fashion-MNIST, and make showers."""
    tool = [sys.executable, "-m", "data_tools"]
    showers = ["--count", "6000", "--shape", "12,12,12"]
    for words in (
        ["convert", str(FASHION), str(place / "fashion.h5")],
        ["calorimeter", str(place / "showers.h5"), *showers],
    ):
        if not Path(words[2] if words[0] == "convert" else words[1]).exists():
            subprocess.run([*tool, *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def _run(place: Path, name: str, overrides: list[str], seed: int) -> tuple[str, str]:
    """Make a run; return its first warnings, and its last figures."""
    is_showers = name == "calorimeter"
    run_dir = place / f"{name.replace(' ', '-')}-{seed}"
    words = [
        *("train", "calorimeter" if is_showers else "fashion", f"--run-dir={run_dir}"),
        f"--data.files=[{place / ('showers.h5' if is_showers else 'fashion.h5')}]",
        *("--evaluate.every_steps=50", "--checkpoint.every_steps=500", f"--seed={seed}"),
        *overrides,
    ]
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "hpcgan", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
    (run_dir / "output").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{name}, seed {seed}: status {done.returncode}: {done.stderr}")
    events = json_lines(run_dir / "history.jsonl", "event", "step", "why")
    why = [line["why"] for _, line in events if line["event"] in ("warning", "rolled back")]
    *_, (_, last) = json_lines(run_dir / "metrics.jsonl", "step", "evaluation")
    figures = {key: float(f"{value:.3g}") for key, value in last["evaluation"].items()}
    return "; ".join(why), json.dumps(figures)


if __name__ == "__main__":
    main()
