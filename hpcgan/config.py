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
        name: mlp (two hidden layers of 128), dcgan (transposed convolutions), resnet (residual
            blocks, spectral normalisation in the discriminator) or volume (3-D convolutions).
        latent_dim: length of the generator's input vector.
        width: channels of the finest level; each coarser level doubles it.
        condition: what the labels do: none, projection (class labels; Miyato and Koyama, 2018),
            auxiliary (class labels, which the discriminator guesses; Odena et al., 2017) or
            regression (real labels, which the discriminator guesses, in volume).
        classes: number of the class labels; null for the largest one in the data and 1.
        label_range: smallest and largest real label; null for those of the data.
        normalisation: of the generator: batch (over each shard's batch) or synchronised (over all
            shards' batches, by an exchange of each layer).
        attention: whether resnet has a layer of self-attention.
        generator: a function of your own that builds the generator, package.module:function; see
            docs/models.md.
        discriminator: one that builds the discriminator.
    """

    name: Literal["mlp", "dcgan", "resnet", "volume"] = "mlp"
    latent_dim: int = 100
    width: int = 64
    condition: Literal["none", "projection", "auxiliary", "regression"] = "none"
    classes: int | None = None
    label_range: list[float] | None = None
    normalisation: Literal["batch", "synchronised"] = "batch"
    attention: bool = False
    generator: str | None = None
    discriminator: str | None = None


# The conditions that each family of networks can have; a user's own may have any.
CONDITIONS = {
    "mlp": ("none",),
    "dcgan": ("none", "projection", "auxiliary"),
    "resnet": ("none", "projection", "auxiliary"),
    "volume": ("none", "regression"),
}


@dataclass(frozen=True)
class LossConfig:
    """The game.

    Args:
        name: the value function, on logits.
        gradient_penalty: weight of the penalty on the discriminator's gradient between real and
            generated samples (Gulrajani et al., 2017); null for 10 with wasserstein, else 0.
        r1: weight of the penalty on the discriminator's gradient at real samples (Mescheder et
            al., 2018).
        label_smoothing: what is taken from the discriminator's target for real samples, 1, in
            non_saturating, minimax and least_squares.
        auxiliary: weight of the discriminator's guesses of labels (model.condition auxiliary or
            regression).
    """

    name: Literal["non_saturating", "minimax", "hinge", "wasserstein", "least_squares"] = (
        "non_saturating"
    )
    gradient_penalty: float | None = None
    r1: float = 0.0
    label_smoothing: float = 0.0
    auxiliary: float = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer of one network.

    Args:
        name: adam (Kingma and Ba, 2015) or sgd, plain gradient descent.
        learning_rate: step size.
        beta_1: decay of Adam's first moment.
        beta_2: decay of Adam's second moment.
        clip_norm: largest norm of the averaged gradient, of all variables together; null for any.
    """

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    clip_norm: float | None = None


@dataclass(frozen=True)
class OptimizersConfig:
    """An optimizer for each network, and what changes their learning rates.

    Args:
        scaling: factor of the learning rates for a global batch of data.shards batches: none (1),
            sqrt (of the shards) or linear (the shards; Goyal et al., 2017).
        warmup_steps: steps in which the learning rates rise from 0, linearly.
        decay: none, or linear or cosine to 0 at train.steps.
    """

    generator: OptimizerConfig = field(default_factory=OptimizerConfig)
    discriminator: OptimizerConfig = field(default_factory=OptimizerConfig)
    scaling: Literal["none", "sqrt", "linear"] = "none"
    warmup_steps: int = 0
    decay: Literal["none", "linear", "cosine"] = "none"


@dataclass(frozen=True)
class TrainConfig:
    """The run.

    Args:
        steps: updates of the generator.
        batch_size: samples a logical shard and update: the global batch is this times the shards.
        update: simultaneous (both gradients from one forward pass) or alternating.
        discriminator_steps: updates of the discriminator before each of the generator, when
            alternating.
        accumulate: parts of a shard's batch that go through the networks one after the other, to
            save memory; batch statistics are those of a part.
        ema: decay of the moving average of the generator, which then makes the samples (Yazici et
            al., 2019); null for none.
        augment: what DiffAugment (Zhao et al., 2020) does to all samples that the discriminator
            sees: color, translation, cutout.
        precision: float32, or what most of the computation is done in: mixed_bfloat16 or
            mixed_float16, whose losses are scaled.
    """

    steps: int = 1000
    batch_size: int = 64
    update: Literal["simultaneous", "alternating"] = "simultaneous"
    discriminator_steps: int = 1
    accumulate: int = 1
    ema: float | None = None
    augment: list[Literal["color", "translation", "cutout"]] = field(default_factory=list)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"


@dataclass(frozen=True)
class ParallelConfig:
    """How the work is divided over the ranks.

    Args:
        mode: synchronous: every rank trains the same networks, the gradients are averaged.
        population: GANs trained at once.
        compression: of the gradients while they are exchanged: none, fp16 or bf16.
    """

    mode: Literal["synchronous"] = "synchronous"
    population: Literal[1] = 1
    compression: Literal["none", "fp16", "bf16"] = "none"


@dataclass(frozen=True)
class CheckpointConfig:
    """The checkpoints.

    Args:
        every_steps: steps between two of them; null for not by steps. The first and last step have
            one in any case.
        every_minutes: minutes between two of them; null for not by time; auto for what loses the
            least time, by a checkpoint's cost and mtbf_hours (Young, 1974; Daly, 2006).
        mtbf_hours: mean time between two failures of the machine, for every_minutes: auto.
        keep: the newest ones that stay; older ones are deleted.
        keep_every: those of steps that are multiples of it stay for ever; null for none.
        failures: attempts to write one that may fail in a row before the run ends.
    """

    every_steps: int | None = 500
    every_minutes: float | Literal["auto"] | None = None
    mtbf_hours: float = 24.0
    keep: int = 3
    keep_every: int | None = None
    failures: int = 3


@dataclass(frozen=True)
class RunConfig:
    """What ends a run before its last step.

    Args:
        time_limit: minutes after which the run writes a checkpoint and stops with status 85, to be
            gone on with; null for none. The end of a Slurm job stops it in the same way.
        stall_seconds: in which each rank must make progress, or the run ends; longer than a
            step, the first one's compilation or a checkpoint take.
        restarts: times that a run that failed is started again from its newest checkpoint; under
            mpirun on one machine.
    """

    time_limit: float | None = None
    stall_seconds: float = 1800.0
    restarts: int = 0


@dataclass(frozen=True)
class WatchConfig:
    """What goes wrong unseen.

    Args:
        nonfinite: what happens when losses or gradients are not finite: stop (the run ends), skip
            (the update is left out), or rollback (the run goes on from the newest checkpoint with
            half the learning rates and with samples and noise that come after those that it has
            used). With mixed_float16 such updates are left out first, skips times in a row.
        skips: updates in a row that may be left out.
        rollbacks: of a run, the most.
        drift_steps: steps between two comparisons of the ranks' networks; null for none.
    """

    nonfinite: Literal["stop", "skip", "rollback"] = "stop"
    skips: int = 10
    rollbacks: int = 3
    drift_steps: int | None = 1000


@dataclass(frozen=True)
class LogConfig:
    """The journal.

    Args:
        every_steps: steps between two lines of metrics.
        samples_every_steps: steps between two sample grids; null for checkpoint.every_steps.
        mlperf: whether a log in the format of MLPerf is written, too.
    """

    every_steps: int = 50
    samples_every_steps: int | None = None
    mlperf: bool = False


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
    optimizer: OptimizersConfig = field(default_factory=OptimizersConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    run: RunConfig = field(default_factory=RunConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
