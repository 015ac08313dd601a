"""What the members of a population differ in besides their seeds: values of keys."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from hpcgan.config import KEYS, Config

# Keys that change numbers of a training step and nothing of its networks; in this order they draw.
VARIABLE = (
    "optimizer.generator.learning_rate",
    "optimizer.discriminator.learning_rate",
    "optimizer.generator.clip_norm",
    "optimizer.discriminator.clip_norm",
    "loss.gradient_penalty",
    "loss.r1",
    "loss.label_smoothing",
    "train.ema",
)


def wrong(config: Config) -> Iterator[str]:
    """Say which values of ``population.vary`` no population can have."""
    members, vary = config.parallel.population, config.population.vary
    if vary and members == 1:
        yield "population.vary is for several members, and parallel.population is 1"
    for key, given in vary.items():
        where = f"population.vary: {key}"
        if key not in VARIABLE:
            yield f"{where} cannot differ between members; what can: {', '.join(VARIABLE)}"
            continue
        if isinstance(given, list) and len(given) != members:
            yield f"{where} has {len(given)} values, and parallel.population is {members}"
        bounds = _bounds(given)
        if bounds is None:
            yield f"{where} is {given}; give a list of values, or {{log: [low, high]}} above 0"
            continue
        for number in given if isinstance(given, list) else bounds:
            if broken := KEYS[key].bounds.broken(number):
                yield f"{where} is {number}; it must be {broken}"


def _bounds(given: list[float] | dict[str, list[float]]) -> tuple[float, float] | None:
    """Return the bounds between which values are drawn, or of a list; None if they are wrong."""
    if isinstance(given, list):
        return (min(given), max(given)) if given else None
    if list(given) != ["log"] or len(given["log"]) != 2:
        return None
    low, high = given["log"]
    return (low, high) if 0 < low < high < math.inf else None


def values(config: Config, member: int) -> dict[str, float]:
    """Return what a member has of each key that varies.

    What is drawn is log-uniform between its bounds, and depends on (seed, key, member) alone.
    """
    found = {}
    for key, given in config.population.vary.items():
        if isinstance(given, list):
            found[key] = given[member]
            continue
        low, high = np.log(given["log"])
        words = [config.seed, VARIABLE.index(key) << 32 | member]
        drawn = np.random.Generator(np.random.Philox(key=words)).random()
        found[key] = float(np.exp(low + (high - low) * drawn))
    return found


def in_use(config: Config) -> dict[str, float]:
    """Return the values of those of the keys that a training step makes use of."""
    optimizer, loss = config.optimizer, config.loss
    penalty = loss.gradient_penalty
    if penalty is None:
        penalty = 10.0 if loss.name == "wasserstein" else 0.0
    of_rates = {
        f"optimizer.{name}.{key}": getattr(own, key)
        for name, own in (
            ("generator", optimizer.generator),
            ("discriminator", optimizer.discriminator),
        )
        for key in ("learning_rate", "clip_norm")
    }
    of_losses = {
        "loss.gradient_penalty": penalty or None,
        "loss.r1": loss.r1 or None,
        "loss.label_smoothing": loss.label_smoothing or None,
    }
    every = {**of_rates, **of_losses, "train.ema": config.train.ema}
    return {key: value for key, value in every.items() if value is not None}


def parse(text: str) -> dict[str, float]:
    """Return values by key from the JSON of a checkpoint, which may be anybody's.

    Raises:
        ValueError: it is no such JSON, or a value is out of its key's bounds.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("lists within lists") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    for key, value in found.items():
        is_number = type(value) is float and math.isfinite(value)  # as they are written
        if key not in VARIABLE or not is_number or KEYS[key].bounds.broken(value):
            raise ValueError("no value of a key")
    return found


def with_value(config: Any, key: str, value: float) -> Any:
    """Return a configuration, or a section of it, with another value of a dotted key."""
    first, _, rest = key.partition(".")
    inner = with_value(getattr(config, first), rest, value) if rest else value
    return dataclasses.replace(config, **{first: inner})
