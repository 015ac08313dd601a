"""The configuration: a frozen dataclass for each section of the YAML file.

The types, defaults and docstrings here are those of the file's keys, of the options of the
command line and of their help; ``config_file`` reads, checks and writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class DataConfig:
    """The samples, how they are divided into shards, and where they are while the run uses them.

    Args:
        files: HDF5 files, or patterns such as part-*.h5, that are one array together, in this
            order; those of a pattern are sorted by name.
        images: the dataset of the samples, (N, H, W, C) or (N, D, H, W, C), uint8 or float32.
        labels: the dataset of the labels, (N,), integers or float32; null for none.
        shards: logical shards that the data is divided into; null for one a rank.
        partition: contiguous (neighbours stay together), strided (dealt out in turn) or balanced
            (each shard gets each label in the data's proportion).
        align: divide whole chunks instead of samples; null for when they are streamed.
        uneven: how a pass through a shard ends that is no whole number of batches: wrap (the last
            batch is filled up from the next pass) or drop (the rest is left out of this pass).
        residency: where the samples are: memory (each rank keeps its shards), node (one copy a
            node, which its ranks share), stream (read while used), or auto, by size.
        shuffle: samples (a new random order of all each pass) or chunks (chunks in random order,
            their samples mixed in a pool); auto for chunks when streamed, else samples.
        shuffle_chunks: chunks in the pool.
        threads: that read and decompress; null for the rank's cores.
        stage: a directory on each node's own disk to copy the needed data to first.
    """

    files: list[str]
    images: str = "images"
    labels: str | None = None
    shards: int | None = None
    partition: Literal["contiguous", "strided", "balanced"] = "contiguous"
    align: bool | None = None
    uneven: Literal["wrap", "drop"] = "wrap"
    residency: Literal["auto", "memory", "node", "stream"] = "auto"
    shuffle: Literal["auto", "samples", "chunks"] = "auto"
    shuffle_chunks: int = 16
    threads: int | None = None
    stage: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """The two networks.

    Args:
        name: mlp (two hidden layers of 128) or dcgan (transposed convolutions).
        latent_dim: length of the generator's input vector.
        width: channels of dcgan's finest level; each coarser level doubles it.
    """

    name: Literal["mlp", "dcgan"] = "mlp"
    latent_dim: int = 100
    width: int = 64


@dataclass(frozen=True)
class LossConfig:
    """The game.

    Args:
        name: the value function, on logits.
    """

    name: Literal["non_saturating", "minimax"] = "non_saturating"


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba, 2015).

    Args:
        name: the optimizer.
        learning_rate: step size.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
    """

    name: Literal["adam"] = "adam"
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer for each network."""

    generator: AdamConfig = field(default_factory=AdamConfig)
    discriminator: AdamConfig = field(default_factory=AdamConfig)


@dataclass(frozen=True)
class TrainConfig:
    """The run.

    Args:
        steps: updates of the generator.
        batch_size: samples a logical shard and update: the global batch is this times the shards.
        update: simultaneous (both gradients from one forward pass) or alternating.
        discriminator_steps: updates of the discriminator before each of the generator, when
            alternating.
    """

    steps: int = 1000
    batch_size: int = 64
    update: Literal["simultaneous", "alternating"] = "simultaneous"
    discriminator_steps: int = 1


@dataclass(frozen=True)
class ParallelConfig:
    """How the work is divided over the ranks.

    Args:
        mode: synchronous: every rank trains the same networks, the gradients are averaged.
        population: GANs trained at once.
    """

    mode: Literal["synchronous"] = "synchronous"
    population: Literal[1] = 1


@dataclass(frozen=True)
class CheckpointConfig:
    """The checkpoints.

    Args:
        every_steps: steps between two of them; the first and last step have one too.
        keep: the newest ones that stay; older ones are deleted.
    """

    every_steps: int = 500
    keep: int = 3


@dataclass(frozen=True)
class LogConfig:
    """The journal.

    Args:
        every_steps: steps between two lines of metrics.
        samples_every_steps: steps between two sample grids; null for as often as checkpoints.
    """

    every_steps: int = 50
    samples_every_steps: int | None = None


@dataclass(frozen=True)
class Config:
    """All that defines a run.

    Args:
        name: the run's name; its directory is runs/NAME unless --run-dir says otherwise.
        seed: of the initial weights, the order of the samples and all noise.
    """

    data: DataConfig
    name: str = "hpcgan"
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
