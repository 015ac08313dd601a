"""What becomes of an optimizer when the global batch is several shards' batches: scaling rules.

With kappa shards the noise of a gradient is a kappa-th. A rule says by which rates a step with it
does what kappa steps with one shard's batch do.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from hpcgan.config import Config, OptimizerConfig

Rule = Literal["none", "sqrt", "linear", "sde"]
EPSILON = 1e-7  # of Adam, as in Keras


class Adams(NamedTuple):
    """The numbers of Adam."""

    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float


def rate_factor(rule: Rule, shards: int) -> float:
    """Return the factor of a learning rate for a batch of some shards' batches."""
    root = math.sqrt(shards)
    return {"none": 1.0, "sqrt": root, "linear": float(shards), "sde": root}[rule]


def adams(own: OptimizerConfig, rule: Rule, shards: int) -> Adams:
    """Return the numbers of Adam by a rule.

    With sde and kappa shards they are rate sqrt(kappa), beta_1 max(0, 1 - kappa (1 - beta_1)),
    beta_2 1 - kappa (1 - beta_2) and epsilon / sqrt(kappa): the square root scaling rule of Malladi
    et al., On the SDEs and scaling rules for adaptive gradient algorithms, 2022, definition 5.3.
    It is for kappa (1 - beta_1) below 1; beyond that beta_1 stays 0. beta_2 may come out at 0 or
    below, with which nothing can be trained.
    """
    rate = own.learning_rate * rate_factor(rule, shards)
    if rule != "sde":
        return Adams(rate, own.beta_1, own.beta_2, EPSILON)
    return Adams(
        rate,
        max(0.0, 1 - shards * (1 - own.beta_1)),
        1 - shards * (1 - own.beta_2),
        EPSILON / math.sqrt(shards),
    )


def decay_power(rule: Rule, shards: int) -> int:
    """Return the power of the decay per step of a moving average.

    With sde and kappa shards it is kappa (Busbridge et al., How to scale your EMA, 2023,
    definition 1.2).
    """
    return shards if rule == "sde" else 1


def steps_factor(noise_scale: float, batch: float, larger: float) -> float:
    """Return the steps that a ``larger`` batch needs, as a part of those of ``batch``.

    McCandlish et al., equation 2.7: steps are as 1 + noise scale / batch, for the same quality, if
    the learning rate follows.
    """
    return (1 + noise_scale / larger) / (1 + noise_scale / batch)


def told(config: Config) -> str:
    """Return what a user should know of the rule; "" where there is nothing.

    Of sde: what it makes of each number, and where it does not hold. Of none: what more shards are
    then worth.

    ``config`` has ``data.shards`` resolved to a number.
    """
    rule, shards = config.optimizer.scaling, config.data.shards
    assert shards is not None
    if rule == "none" and shards > 1:
        return (
            f"optimizer.scaling none: {shards} shards train with the rates of one; where it was "
            "measured more ranks were then worth little (docs/scaling.md, How many ranks?)"
        )
    if rule != "sde":
        return ""
    parts = []
    for name in ("generator", "discriminator"):
        own = getattr(config.optimizer, name)
        now = adams(own, rule, shards)
        holds = shards * (1 - own.beta_1) < 1 or own.beta_1 == 0
        beyond = "" if holds else f" (the rule holds for beta_1 above {1 - 1 / shards:g})"
        parts.append(
            f"{name}: learning_rate {own.learning_rate:g} -> {now.learning_rate:.4g}, beta_1 "
            f"{own.beta_1:g} -> {now.beta_1:.4g}{beyond}, beta_2 {own.beta_2:g} -> "
            f"{now.beta_2:.6g}, epsilon {EPSILON:g} -> {now.epsilon:.4g}"
        )
    if config.train.ema is not None:
        parts.append(f"train.ema {config.train.ema:g} -> {config.train.ema**shards:.6g}")
    return f"optimizer.scaling sde for {shards} shards: {'; '.join(parts)}"
