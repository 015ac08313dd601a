"""``hpcgan features fit``: a classifier of the data's classes, trained by all ranks.

A batch is a choice of sample numbers that depends on the seed and the step alone. Each rank holds
some of the samples (``hpcgan.blocks``), computes the gradients of those of a batch that it holds,
and the sums over the ranks train the same network everywhere: on any number of ranks it is the same
up to rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpcgan.config import DataConfig
from hpcgan.data.source import Source, open_source
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import DataError
from hpcgan.evaluation import drawing
from hpcgan.evaluation.features import classifier_file, flat
from hpcgan.evaluation.features.classifier import build, flattened, standardised
from hpcgan.evaluation.features.classifier_file import MOST_CLASSES, Classifier
from hpcgan.evaluation.samples import Samples
from hpcgan.files import partial_path
from hpcgan.world import World

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from hpcgan.gan.vector import Vector

_HELD_OUT = 0.1  # share of the samples
_LEAST_SAMPLES = 20
_BATCH = 64
_EPOCHS = 5
_STEPS = (400, 50_000)  # at least and at most
_LEARNING_RATE = 1e-3  # at the start; it falls to 0 along a cosine
_PIECE = 256  # held-out samples at a time


def fit(world: World, data: str, labels: str, out: Path, seed: int) -> None:
    """Fit a classifier to a data file, print its held-out accuracy and write it.

    All ranks must call it.

    Args:
        world: the ranks.
        data: the data file, or a pattern of several.
        labels: the dataset of labels.
        out: the file to write.
        seed: of the held-out samples, the weights at the start and the batches; at least 0.

    Raises:
        DataError: the data or labels are not there, or are no samples with classes.
        RunError: ``out`` cannot be written.
    """
    world.on_root(lambda: str(partial_path(out)))  # before the work is done
    source = open_source(world, DataConfig([data], labels=labels))
    numbers = world.all_or_raise(lambda: _labels(source))
    world.all_or_raise(lambda: prepare_tensorflow(world))
    count = round(_HELD_OUT * len(source))
    held, trained = drawing.choose(seed, len(source), count, len(source) - count)
    training = drawing.read(world, source, trained, numbers)
    held_out = drawing.read(world, source, held, numbers)
    names = source.classes or ()
    classes = max(len(names), int(numbers.max()) + 1)
    names = names if len(names) == classes else ()
    steps = int(np.clip(_EPOCHS * len(trained) // _BATCH, *_STEPS))
    fitted = train(training, held_out, classes, names, seed, steps)
    world.on_root(lambda: classifier_file.write(out, fitted))
    if world.is_root:
        print(
            f"{out}: a classifier of {classes} classes, from {len(trained)} samples; of "
            f"{len(held)} others it finds {fitted.accuracy:.1%}"
        )


def _labels(source: Source) -> np.ndarray:
    """Return all labels, (N,) integers from 0; refuse those that are no classes."""
    where = f"{source.files[0]}: '{source.labels}'"
    labels = source.read_labels()
    if labels.ndim > 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{where} holds {labels.dtype.name} of shape {labels.shape}; a classifier needs one "
            "integer a sample, its class"
        )
    if len(labels) < _LEAST_SAMPLES:
        raise DataError(
            f"{where} has {len(labels)} samples; a classifier needs {_LEAST_SAMPLES} or more"
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= MOST_CLASSES or least == most:
        raise DataError(
            f"{where} goes from {least} to {most}; a classifier needs two classes or more, of "
            f"numbers from 0 to {MOST_CLASSES - 1}"
        )
    return labels


def train(
    training: Samples,
    held_out: Samples,
    classes: int,
    names: tuple[str, ...],
    seed: int,
    steps: int,
) -> Classifier:
    """Return a classifier trained on labelled samples for ``steps``. All ranks must call it.

    Raises:
        DataError: samples are not finite (on all ranks).
    """
    from hpcgan.gan.vector import Vector

    group = training.group
    mean, deviation = _mean_and_deviation(training)
    shape, dtype = training.images.shape[1:], training.images.dtype.name
    network = build(shape, classes, seed)
    network.set_weights([group.broadcast_array(each) for each in network.get_weights()])
    own = np.full(training.count, -1)  # where this rank has a sample, if it has it
    own[training.numbers] = np.arange(len(training.images))
    assert training.labels is not None
    labels = training.labels.astype(np.int32)
    vector = Vector([tuple(each.shape) for each in network.weights])
    gradients = _gradients(network, vector, mean, deviation)
    update = _update(network, vector, steps)
    for batch in itertools.islice(_batches(training.count, seed), steps):
        here = own[batch]
        here = here[here >= 0]
        total = group.sum_arrays(gradients(training.images[here], labels[here]))
        update((total / len(batch)).astype(np.float32))
    accuracy = _accuracy(network, mean, deviation, held_out)
    return Classifier(shape, dtype, classes, names, mean, deviation, accuracy, flattened(network))


def _batches(count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the sample numbers of one batch after the other, without end.

    Each sample is in one batch of an epoch at most; those that fill no batch are left out.
    """
    size, epoch = min(count, _BATCH), 0
    while True:
        order = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
        yield from np.split(order[: count // size * size], count // size)
        epoch += 1


def _mean_and_deviation(samples: Samples) -> tuple[float, float]:
    """Return these of all values of all ranks' samples. All ranks must call it."""
    blocks = [samples.images[at : at + _PIECE] for at in range(0, len(samples.images), _PIECE)]
    values = samples.count * float(np.prod(samples.images.shape[1:]))
    total = sum((flat(block).sum() for block in blocks), 0.0)
    mean = float(samples.group.sum_arrays(np.array([total]))[0]) / values
    squares = sum((((flat(block) - mean) ** 2).sum() for block in blocks), 0.0)
    variance = float(samples.group.sum_arrays(np.array([squares]))[0]) / values
    if not np.isfinite(variance):
        raise DataError("samples are not finite; hpcgan-data verify finds them", on_all_ranks=True)
    return mean, variance**0.5 or 1.0


def _gradients(
    network: keras.Model, vector: Vector, mean: float, deviation: float
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that sums the loss's gradients over some samples, as one vector, float64.

    The loss is the cross-entropy.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def computed(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            _, logits = network(standardised(images, mean, deviation), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(losses)
        return vector.join(tape.gradient(loss, [each.value for each in network.weights]))

    def summed(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if not len(images):
            return np.zeros(vector.length)
        return np.asarray(computed(images, labels), np.float64)

    return summed


def _update(network: keras.Model, vector: Vector, steps: int) -> Callable[[np.ndarray], None]:
    """Return a function that applies mean gradients, one vector, to the network: Adam's update."""
    import keras
    import tensorflow as tf

    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(network.weights)

    @tf.function
    def update(gradients: tf.Tensor) -> None:
        optimizer.apply(vector.split(gradients), network.weights)

    return update


def _accuracy(network: keras.Model, mean: float, deviation: float, samples: Samples) -> float:
    """Return the share of labelled samples whose class is found. All ranks must call it."""
    assert samples.labels is not None
    right = 0
    for at in range(0, len(samples.images), _PIECE):
        images, labels = samples.images[at : at + _PIECE], samples.labels[at : at + _PIECE]
        _, logits = network(standardised(images, mean, deviation), training=False)
        right += int((np.asarray(logits).argmax(axis=1) == labels).sum())
    return int(samples.group.sum_arrays(np.array([right]))[0]) / samples.count
