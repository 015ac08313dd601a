"""What --features may name."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.errors import ConfigError
from hpcgan.evaluation.features import extractors
from tests.evaluation.made import spread_images


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("pac", "is none of pca, imagenet, classifier:FILE, FILE.keras; did you mean pca?"),
        ("ImageNet", "did you mean imagenet?"),
        ("inception", "is none of pca, imagenet, classifier:FILE, FILE.keras"),
        ("", "is none of pca"),
    ],
)
def test_an_unknown_name_is_refused_and_the_nearest_named(features, said) -> None:
    with pytest.raises(ConfigError) as caught:
        extractors.check(features, (8, 8, 1), "uint8")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"--features {features}:")


def test_a_file_that_is_missing_is_refused(tmp_path) -> None:
    for features in (f"classifier:{tmp_path}/a.h5", f"{tmp_path}/a.keras"):
        with pytest.raises(ConfigError, match=rf"^{tmp_path}/a\.\w+: there is no such"):
            extractors.check(features, (8, 8, 1), "uint8")


def test_pca_is_for_all_samples(world) -> None:
    extractors.check("pca", (3, 3, 3, 7), "float32")
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), np.uint8)
    assert extractors.make(world, "pca", spread_images(world, images), None).name == "pca16"
