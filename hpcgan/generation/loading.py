"""``hpcgan.load_generator``: a trained generator for other programs, without MPI."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpcgan.devices import Alone, prepare_for_blocks
from hpcgan.errors import ConfigError
from hpcgan.generation.form import Form, Output
from hpcgan.generation.producer import Producer, chunks
from hpcgan.generation.sampler import Wanted, check_trusted, checked_label, sampler_of
from hpcgan.run_or_checkpoint import find


class Generator:
    """A trained generator."""

    def __init__(self, path: str | os.PathLike[str], trust_networks: bool) -> None:
        """Load it; ``load_generator`` has the arguments and the errors."""
        self._found = find(Path(path))
        if not trust_networks:
            check_trusted(self._found, "generate")
        self._place = Alone()
        if not prepare_for_blocks(self._place):
            warnings.warn(
                "TensorFlow has begun with several threads for an operation: the samples are those "
                "of hpcgan generate up to rounding; call hpcgan.load_generator before other uses "
                "of TensorFlow for the same bits",
                stacklevel=3,
            )
        from hpcgan.gan.state import State

        state = State(self._found.config, self._found.sample_shape)
        state.load(self._found.groups, str(path))
        self._sampler = sampler_of(state.sampler, self._found, Wanted(1), None, self._place.cores)

    def sample(
        self, count: int, seed: int = 0, label: str | float | None = None
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Return samples in the data's units, those that ``hpcgan generate`` writes.

        Args:
            count: how many, at least 1.
            seed: of their latents, at least 0.
            label: of all of them: a class by its name or number, a value, or "A,B,..." of K values;
                None for classes in turn, or values uniform in the data's range.

        Raises:
            ConfigError: the count or seed is out of bounds, or there is no such label.

        Returns:
            (count, *sample_shape) of the data's dtype, or float32 where the data's values had been
            mapped. For networks with labels these too: (count,) or (count, K), as in the data.
        """
        if count < 1 or seed < 0:
            raise ConfigError(f"count {count}, seed {seed}: count is at least 1, seed at least 0")
        wanted = Wanted(count, seed, None if label is None else str(label), trusted=True)
        own = checked_label(self._found, wanted)
        sampler = replace(self._sampler, wanted=wanted, label=own)
        producer, form = Producer([sampler]), Form(self._found, Output(Path("samples.h5")))
        images, labels = [], []
        for chunk in chunks(range(count), self._found.sample_shape, self._place.cores):
            made = form.datasets(*producer.make(chunk))
            images.append(made["images"])
            labels += [made["labels"]] if "labels" in made else []
        if not labels:
            return np.concatenate(images)
        return np.concatenate(images), np.concatenate(labels)
