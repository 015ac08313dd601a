"""``hpcgan-data calorimeter``: showers whose means are the formulas', from any number of ranks."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest

from data_tools import cli
from data_tools.calorimeter import DEPTH, QUANTUM, RADIUS, Showers, longitudinal, radial


@pytest.mark.parametrize("energy", [10.0, 120.0, 500.0])
def test_the_longitudinal_profile_is_the_gamma_distribution(energy: float) -> None:
    shape = 1 + 0.5 * (math.log(energy / 0.01) - 0.5)
    fine = (np.arange(200_000) + 0.5) * DEPTH / 200_000
    density = 0.5 * (0.5 * fine) ** (shape - 1) * np.exp(-0.5 * fine) / math.gamma(shape)
    by_sums = density.reshape(25, -1).sum(axis=1) * DEPTH / 200_000
    profile = longitudinal(np.array([energy]), 25)[0]
    np.testing.assert_allclose(profile, by_sums, rtol=1e-6)
    # The maximum lies at ln(E / E_c) - 0.5 radiation lengths, in layers of one.
    assert int(profile.argmax()) == int(math.log(energy / 0.01) - 0.5)
    assert 0.95 < profile.sum() < 1


def test_the_radial_profile_falls_by_the_radius_and_holds_all_energy() -> None:
    profile = radial(25, 25)
    assert profile.sum() == pytest.approx(1)
    assert profile.argmax() == 12 * 25 + 12
    assert profile[12, 17] / profile[12, 14] == pytest.approx(math.exp(-3 / RADIUS))
    np.testing.assert_allclose(profile, profile.T)


def test_a_shower_depends_on_the_seed_and_its_own_number_alone() -> None:
    showers = Showers(6, (5, 4, 3), seed=3)
    whole, end = showers.content(range(6)), showers.content(range(4, 6))
    for name in ("images", "labels"):
        np.testing.assert_array_equal(end[name], whole[name][4:])
    assert len(set(whole["labels"])) == 6
    assert not np.array_equal(
        Showers(6, (5, 4, 3), seed=4).content(range(6))["images"], whole["images"]
    )


def test_the_mean_of_many_showers_is_the_formula_within_their_scatter() -> None:
    showers = Showers(400, (20, 9, 11), (100.0, 100.0), seed=3)
    content = showers.content(range(400))
    energy = content["images"][..., 0].astype(np.float64) * showers.scale
    assert (content["labels"] == 100).all()
    expected = 100 * longitudinal(np.array([100.0]), 20)[0][:, None, None] * radial(9, 11)
    # The mean of 400 Poisson counts of quanta scatters by sqrt(mean * quantum / 400).
    sigma = np.sqrt(expected * QUANTUM / 400)
    pulls = (energy.mean(axis=0) - expected) / np.maximum(sigma, 1e-9)
    assert abs(pulls[expected > 0.01]).max() < 5
    layers = energy.sum(axis=(2, 3)).mean(axis=0)
    np.testing.assert_allclose(layers, expected.sum(axis=(1, 2)), rtol=0.02)
    totals = energy.sum(axis=(1, 2, 3))
    # 7% / sqrt(E in GeV)
    assert totals.std() / totals.mean() == pytest.approx(0.0707 / 10, rel=0.15)


def test_the_total_follows_the_label_and_values_suit_a_generator() -> None:
    showers = Showers(300, (10, 7, 7), seed=1)
    content = showers.content(range(300))
    totals = content["images"].sum(axis=(1, 2, 3, 4))
    assert np.corrcoef(totals, content["labels"])[0, 1] > 0.99
    assert content["labels"].min() >= 10
    assert content["labels"].max() <= 500
    assert content["images"].min() == 0
    assert 0.3 < content["images"].max() < 1


def test_one_and_three_ranks_write_the_same_showers(hpcgan_data, tmp_path) -> None:
    words = "--count 13 --shape 6,5,4 --chunk 3 --seed 8 --compression gzip --energies 20,30"
    for name, ranks in (("one.h5", None), ("three.h5", 3)):
        done = hpcgan_data(f"calorimeter {name} {words}", ranks=ranks)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "three.h5").read_bytes()
    showers = Showers(13, (6, 5, 4), (20.0, 30.0), seed=8)
    expected = showers.content(range(13))
    with h5py.File(tmp_path / "one.h5") as file:
        for name, array in expected.items():
            np.testing.assert_array_equal(file[name][:], array)
            assert file[name].dtype == np.float32
        assert file["images"].attrs["scale"] == showers.scale
        assert file["images"].compression == "gzip"
    assert done.stdout.startswith(
        f"three.h5: 13 samples, showers in 6x5x4 cells, 1 stands for {showers.scale:.6g} GeV, "
        "labels in GeV;"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--count 0", "argument --count: '0' is no whole number from 1;"),
        ("--shape 5,5", "argument --shape: '5,5' is not D,H,W, whole numbers from 1;"),
        ("--energies 500,10", "argument --energies: '500,10' is not two energies in GeV"),
        ("--energies 0.01,10", "argument --energies: '0.01,10' is not two energies in GeV"),
        ("--energies nan,10", "argument --energies: 'nan,10' is not two energies in GeV"),
        ("--energies 10", "argument --energies: '10' is not two energies in GeV"),
        ("--seed=-1", "argument --seed: '-1' is no whole number from 0"),
        ("--chunk 0", "argument --chunk: '0' is no whole number from 1;"),
    ],
)
def test_values_out_of_bounds(capsys, option, message) -> None:
    assert cli.main(f"calorimeter x.h5 --count 5 {option}".split()) == 2
    assert capsys.readouterr().err.startswith(f"hpcgan-data: {message}")
