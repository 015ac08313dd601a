"""The configuration: a frozen dataclass for each section of the YAML file.

A key has its type, default, bounds, help and whether it may change on resuming here and nowhere
else (``config_keys``): the YAML file, the options of ``hpcgan train`` and their help, and the table
in docs/training.md follow. ``config_checks`` has what must fit together across keys. Here is what
defines the training; what happens beside it is in ``config_beside``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from hpcgan.config_beside import (
    CheckpointConfig,
    EvaluateConfig,
    LogConfig,
    RunConfig,
    WatchConfig,
)
from hpcgan.config_keys import Bounds, Key, OnResume, keys_of
from hpcgan.config_population import PopulationConfig, TournamentConfig


@dataclass(frozen=True)
class DataConfig:
    """The samples, how they are divided into shards, and where they are while the run uses them.

    Args:
        files: HDF5 files, or patterns such as part-*.h5, that are one array together, in this
            order; those of a pattern are sorted by name.
        images: the dataset of the samples, (N, H, W, C) or (N, D, H, W, C), uint8 or float32.
        labels: the dataset of the labels, (N,), integers or float32, or (N, K) float32, for
            model.condition and balanced shards; null for none.
        shards: logical shards that the data is divided into; null for one per rank, or as in the
            checkpoint that the run resumes from.
        part: the part of the data that is trained on, as two numbers, which and of how many: [0, 4]
            is the first of four; null for all. Members of a population have one if they divide it.
        partition: contiguous (neighbours stay together), strided (one sample to each shard in
            turn) or balanced (each shard gets each label in the data's proportion).
        align: divide whole chunks instead of samples; null for when they are streamed.
        uneven: where an epoch of a shard is no whole number of batches: wrap (the last one is
            filled up from the next epoch) or drop (the rest is left out of this epoch).
        residency: where the samples are: memory (each rank keeps its shards), node (one copy per
            node, which its ranks share), stream (read while used), or auto, by size.
        shuffle: samples (a new random order of all samples each epoch) or chunks (chunks in random
            order, their samples mixed in a pool); auto for chunks when streamed, else samples.
        shuffle_chunks: chunks in the pool.
        threads: number of threads that read and decompress; null for the rank's cores.
        stage: a directory on each node's own disk to copy the needed data to first.
    """

    files: Annotated[list[str], OnResume.FREE]
    images: str = "images"
    labels: Annotated[str | None, OnResume.FREE] = None
    shards: Annotated[int | None, Bounds(at_least=1, at_most=1_000_000)] = None
    part: list[int] | None = None
    partition: Literal["contiguous", "strided", "balanced"] = "contiguous"
    align: bool | None = None
    uneven: Literal["wrap", "drop"] = "wrap"
    residency: Annotated[Literal["auto", "memory", "node", "stream"], OnResume.FREE] = "auto"
    shuffle: Literal["auto", "samples", "chunks"] = "auto"
    shuffle_chunks: Annotated[int, Bounds(at_least=1, at_most=100_000)] = 16
    threads: Annotated[int | None, Bounds(at_least=1, at_most=1_000), OnResume.FREE] = None
    stage: Annotated[str | None, OnResume.FREE] = None


@dataclass(frozen=True)
class ModelConfig:
    """The two networks.

    Args:
        name: mlp (two hidden layers of 128), dcgan (transposed convolutions), resnet (residual
            blocks, spectral normalisation in the discriminator) or volume (3-D convolutions).
        latent_dim: length of the generator's input vector.
        width: channels of the finest level; each coarser level doubles it.
        condition: how the labels are used: none, projection (class labels; Miyato and Koyama,
            2018), auxiliary (class labels, which the discriminator predicts; Odena et al., 2017)
            or regression (one or K real values, which the discriminator predicts, in volume).
        classes: number of the class labels; null for the largest one in the data and 1.
        label_range: smallest and largest real-valued label, of K values two numbers for each in
            turn; null for those of the data.
        normalisation: statistics of the generator's batch normalisation: batch (of each shard's
            batch) or synchronised (of all shards' batches, by all-reduces in each layer).
        attention: whether resnet has a layer of self-attention.
        generator: a function of your own that builds the generator, package.module:function; see
            docs/models.md.
        discriminator: the same for the discriminator.
    """

    name: Literal["mlp", "dcgan", "resnet", "volume"] = "mlp"
    latent_dim: Annotated[int, Bounds(at_least=1, at_most=10_000)] = 100
    width: Annotated[int, Bounds(at_least=1, at_most=2_000)] = 64
    condition: Literal["none", "projection", "auxiliary", "regression"] = "none"
    classes: Annotated[int | None, Bounds(at_least=1, at_most=1_000_000)] = None
    label_range: list[float] | None = None
    normalisation: Literal["batch", "synchronised"] = "batch"
    attention: bool = False
    generator: str | None = None
    discriminator: str | None = None


@dataclass(frozen=True)
class LossConfig:
    """The losses.

    Args:
        name: the loss, on logits.
        gradient_penalty: weight of the penalty on the discriminator's gradient between real and
            generated samples (Gulrajani et al., 2017); null for 10 with wasserstein, else 0.
        r1: weight of the penalty on the discriminator's gradient at real samples (Mescheder et
            al., 2018).
        label_smoothing: subtracted from the discriminator's target for real samples, 1, in
            non_saturating, minimax and least_squares.
        auxiliary: weight of the discriminator's predictions of labels (model.condition auxiliary
            or regression).
    """

    name: Literal["non_saturating", "minimax", "hinge", "wasserstein", "least_squares"] = (
        "non_saturating"
    )
    gradient_penalty: Annotated[float | None, Bounds(at_least=0)] = None
    r1: Annotated[float, Bounds(at_least=0)] = 0.0
    label_smoothing: Annotated[float, Bounds(at_least=0, less_than=1)] = 0.0
    auxiliary: Annotated[float, Bounds(at_least=0)] = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer of one network.

    Args:
        name: adam (Kingma and Ba, 2015) or sgd, plain gradient descent.
        learning_rate: step size; 0 for a network that stays as it is.
        beta_1: decay of Adam's first moment.
        beta_2: decay of Adam's second moment.
        clip_norm: largest norm of the averaged gradient, of all variables together; null for any.
    """

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: Annotated[float, Bounds(at_least=0), OnResume.ALLOW_CHANGE] = 2e-4
    beta_1: Annotated[float, Bounds(at_least=0, less_than=1)] = 0.5
    beta_2: Annotated[float, Bounds(at_least=0, less_than=1)] = 0.999
    clip_norm: Annotated[float | None, Bounds(greater_than=0)] = None


@dataclass(frozen=True)
class OptimizersConfig:
    """An optimizer for each network, and what changes their learning rates.

    Args:
        scaling: factor of the learning rates for a global batch of data.shards batches: none (1),
            sqrt (of the shards), linear (the shards; Goyal et al., 2017), or sde, which is for adam
            and changes beta_1, beta_2, epsilon and the moving average, too (Malladi et al., 2022;
            Busbridge et al., 2023).
        warmup_steps: steps in which the learning rates rise from 0, linearly.
        decay: none, or linear or cosine to 0 at train.steps.
    """

    generator: OptimizerConfig = field(default_factory=OptimizerConfig)
    discriminator: OptimizerConfig = field(default_factory=OptimizerConfig)
    scaling: Annotated[Literal["none", "sqrt", "linear", "sde"], OnResume.ALLOW_CHANGE] = "none"
    warmup_steps: Annotated[int, Bounds(at_least=0), OnResume.ALLOW_CHANGE] = 0
    decay: Annotated[Literal["none", "linear", "cosine"], OnResume.ALLOW_CHANGE] = "none"


@dataclass(frozen=True)
class TrainConfig:
    """The training steps.

    Args:
        steps: updates of the generator.
        batch_size: samples per logical shard and update: the global batch is this times the
            shards.
        update: simultaneous (both gradients from one forward pass) or alternating.
        discriminator_steps: updates of the discriminator before each of the generator, when
            alternating.
        staleness: updates by which each network looks back at the other: the generator is judged
            by the discriminator of that many updates ago, which learns from the samples that the
            generator made that many updates ago; null for 0, or 1 with parallel.mode: split.
        discriminators: each with its own part of the shards, while the generator learns from all
            of them (Hardy et al., 2019).
        swap_every: steps after which each discriminator moves on to the next part of the shards;
            null for about one pass over its samples, 0 for never.
        swap: to the next part (ring), or by a cycle drawn anew each time (random).
        accumulate: parts of a shard's batch that go through the networks one after the other, to
            save memory; batch statistics are those of a part.
        ema: decay of the moving average of the generator, which then makes the samples (Yazici et
            al., 2019); null for none.
        ema_images: the same as the number of images in which half of the average is renewed, for
            runs whose batches differ, in place of ema.
        ema_ramp: largest half-life of the average as a part of the images seen, with ema_images;
            null for any.
        augment: what DiffAugment (Zhao et al., 2020) does to all samples that the discriminator
            sees: color, translation, cutout.
        precision: float32, or what most of the computation is done in: mixed_bfloat16 or
            mixed_float16, whose losses are scaled.
    """

    steps: Annotated[int, Bounds(at_least=1), OnResume.FREE] = 1000
    batch_size: Annotated[int, Bounds(at_least=1, at_most=100_000)] = 64
    update: Literal["simultaneous", "alternating"] = "simultaneous"
    discriminator_steps: Annotated[int, Bounds(at_least=1, at_most=1_000)] = 1
    staleness: Annotated[int | None, Bounds(at_least=0, at_most=8), OnResume.FREE] = None
    discriminators: Annotated[int, Bounds(at_least=1, at_most=1_000)] = 1
    swap_every: Annotated[int | None, Bounds(at_least=0)] = None
    swap: Literal["ring", "random"] = "ring"
    accumulate: Annotated[int, Bounds(at_least=1, at_most=100_000)] = 1
    ema: Annotated[float | None, Bounds(at_least=0, less_than=1)] = None
    ema_images: Annotated[float | None, Bounds(greater_than=0)] = None
    ema_ramp: Annotated[float | None, Bounds(greater_than=0)] = None
    augment: list[Literal["color", "translation", "cutout"]] = field(default_factory=list)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"


@dataclass(frozen=True)
class ParallelConfig:
    """How the work is divided over the ranks.

    Args:
        mode: synchronous (every rank trains the same networks, the gradients are averaged) or split
            (the first ranks train the generator, the others the discriminator, at the same time).
        generator_ranks: ranks that train the generator, in split; null: a turn of each network is
            timed at the start, and the ranks are divided so that neither waits long.
        population: GANs trained at once, from seed, seed + 1 and so on; data.shards is of each.
        compression: format in which gradients are sent: none (float32), fp16 or bf16.
    """

    mode: Annotated[Literal["synchronous", "split"], OnResume.FREE] = "synchronous"
    generator_ranks: Annotated[int | None, Bounds(at_least=1), OnResume.FREE] = None
    population: Annotated[int, Bounds(at_least=1, at_most=10_000)] = 1
    compression: Literal["none", "fp16", "bf16"] = "none"


@dataclass(frozen=True)
class Config:
    """All that defines a run.

    Args:
        name: the run's name; its directory is runs/NAME unless --run-dir is given.
        seed: random seed of the initial weights, the order of the samples and all noise.
    """

    data: DataConfig
    name: Annotated[str, OnResume.FREE] = "hpcgan"
    seed: Annotated[int, Bounds(at_least=0, at_most=2**32 - 1)] = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizersConfig = field(default_factory=OptimizersConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    population: PopulationConfig = field(default_factory=PopulationConfig)
    tournament: Annotated[TournamentConfig, OnResume.ALLOW_CHANGE] = field(
        default_factory=TournamentConfig
    )
    checkpoint: Annotated[CheckpointConfig, OnResume.FREE] = field(default_factory=CheckpointConfig)
    log: Annotated[LogConfig, OnResume.FREE] = field(default_factory=LogConfig)
    run: Annotated[RunConfig, OnResume.FREE] = field(default_factory=RunConfig)
    watch: Annotated[WatchConfig, OnResume.FREE] = field(default_factory=WatchConfig)
    evaluate: Annotated[EvaluateConfig, OnResume.FREE] = field(default_factory=EvaluateConfig)

    @property
    def staleness(self) -> int:
        """Updates by which each network looks back at the other."""
        if self.train.staleness is not None:
            return self.train.staleness
        return 1 if self.parallel.mode == "split" else 0


KEYS: dict[str, Key] = keys_of(Config)

# Keys of earlier versions, which checkpoints may still hold: they are left out on reading.
REMOVED = ("log.mlperf",)
