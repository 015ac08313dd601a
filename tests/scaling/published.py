"""The cost model against published efficiencies: predicted from hardware alone, nothing fitted.

    python -m tests.scaling.published

Results that are predicted:

- Sergeev and Del Balso, "Horovod: fast and easy distributed deep learning in TensorFlow",
  arXiv:1802.05799 (2018), and Horovod's docs/benchmarks.rst and README at two dates: 90% for
  Inception V3 and ResNet-101, 79% for VGG-16 on 32 servers, and 90% and 68% on 128 servers, with 4
  Pascal GPUs and a 25 Gbit/s RoCE network each, relative to one GPU; tf_cnn_benchmarks with
  synthetic data, 64 images a GPU.
- Vallecorsa et al., "Distributed Training of Generative Adversarial Networks for Fast Detector
  Simulation", ISC High Performance Workshops 2018, LNCS 11203: 3DGAN on Stampede2, "above 94%" from
  1 to 128 nodes of two Xeon Platinum 8160.

What the model is given:

- Seconds a step: a Tesla P100 (the sources say only Pascal) trains 142 images/s of Inception V3 and
  154 of VGG-16, batch 64, synthetic data (tensorflow.org, r1/guide/performance/benchmarks, DGX-1,
  May 2017). ResNet-101 is not there: 129 images/s lie between ResNet-50 (219) and ResNet-152 (91.8)
  in proportion to operations, 3.8, 7.6 and 11.3 x 10^9 (He et al., arXiv:1512.03385, table 1; *).
- Gradients, float32: 23.9, 44.7 and 138.4 million weights (keras.io/api/applications).
- 3DGAN: 872,808 weights of G and 73,402 of D, from keras/EcalEnergyGan.py of
  github.com/svalleco/3Dgan. Its EcalEnergyTrain_hvd.py makes four exchanges a step, two of D and
  two of G, after a pass forward of G: 19.3 x 10^9 operations a sample (multiply and add, a backward
  pass twice a forward one). Four ranks a node with 16 samples each:
  github.com/sara-nl/3Dgan, keras/job_stampede_4w_1n_16bs.sh. The time of a step is not in the
  abstract: 0.95 s follow from 10^15 operations/s of the same program on 768 nodes of like
  processors ("petaflop performance", arXiv:2005.10676; nodes and ranks from the sbatch script in
  github.com/DavidBrayford/HPAI). That these two belong together is a guess, which hardly matters:
  the exchange takes 2% of it, on one node as on 128.
- Latencies in Horovod's rings: 9.6 us over the network and 5.7 us over PCI (NCCL,
  src/graph/tuning.cc of 2020, ring, simple protocol); PCI Express 3.0 moves 16 GB/s (*). In MPI
  over Omni-Path, 100 Gbit/s (Stampede2): 1 us (*).

What the sources do not give has one value for all cases, from a source or reason of its own, found
with the results known; how much each matters is the second table that is printed:

- ``_SHARE``, what is reached of a link's rate: 96%, as NCCL's authors expect (24 of 25 GB/s; 12 of
  12.5: github.com/NVIDIA/nccl-tests, issue 119).
- ``_OVERLAP``: gradients go while the backward pass runs, 2/3 of a step, since it costs twice the
  forward pass.
- ``_CYCLE``, the overhead of an exchange: one cycle of Horovod's controller, 5 ms by default before
  version 0.21 (its release notes, pull request 2468).
- ``_VARIATION``, of compute times: 3.8%, the normal distribution of which 0.4% lie 10% above the
  median, as single-node Linpack on Stampede2 (McCalpin, "HPL and DGEMM Performance Variability on
  the Xeon Platinum 8160 Processor", SC18, abstract; *). No such figure for the GPUs was found.

(*) from memory: the other figures were read at their sources, or in the abstract.

Left out, though published: Horovod over TCP (the rate of a TCP connection is not given) and the
fall of a GPU's speed while it also reduces.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace

from hpcgan.scaling.model import Model, Step

_SHARE = 0.96
_OVERLAP = 2 / 3
_CYCLE = 5e-3
_VARIATION = 0.038

_GIGABIT = 1e9 / 8
_IMAGES = 64  # a GPU


@dataclass(frozen=True)
class Case:
    """A published result."""

    name: str  # what was trained
    model: Model  # of the machine on which it was
    baseline: int  # ranks to which the efficiency is relative
    ranks: int  # that reached it
    efficiency: float  # that was published
    # The share of the compute time, at its end, during which gradients are exchanged already.
    overlap: float = _OVERLAP

    def step(self, ranks: int) -> Step:
        """Return the model's step, without what of the exchange goes on beside the computing."""
        whole = self.model.step(ranks)
        moving = whole.exchange - self.model.exchanges * self.model.overhead if ranks > 1 else 0.0
        hidden = min(moving, self.overlap * (whole.compute + whole.stragglers))
        return replace(whole, exchange=whole.exchange - hidden)

    @property
    def predicted(self) -> float:
        """The model's efficiency."""
        return self.step(self.baseline).total / self.step(self.ranks).total

    @property
    def error(self) -> float:
        """(predicted - published) / published."""
        return self.predicted / self.efficiency - 1


def _gpus(name: str, images_per_second: float, weights: float, ranks: int, result: float) -> Case:
    """Return a case of the Horovod paper."""
    model = Model(
        samples=_IMAGES,
        compute_fixed=0.0,
        compute_per_sample=1 / images_per_second,
        variation=_VARIATION,
        gradient_bytes=4 * weights,
        overhead=_CYCLE,
        negotiations=0,
        ranks_per_node=4,
        within_latency=5.7e-6,
        within_bandwidth=_SHARE * 16e9,  # PCI Express 3.0, 16 lanes
        between_latency=9.6e-6,
        between_bandwidth=_SHARE * 25 * _GIGABIT,
        eager=math.inf,
    )
    return Case(name, model, baseline=1, ranks=ranks, efficiency=result)


def _3dgan() -> Case:
    """Return the case of 3DGAN."""
    latency, bandwidth = 1e-6, _SHARE * 100 * _GIGABIT
    operations = 19.3e9  # a sample
    model = Model(
        samples=16,
        compute_fixed=0.0,
        compute_per_sample=operations * 4 * 768 / 1e15,
        variation=_VARIATION,
        gradient_bytes=4 * 2 * (872_808 + 73_402),
        exchanges=4,
        overhead=_CYCLE,
        negotiations=0,
        ranks_per_node=4,
        within_latency=latency,
        within_bandwidth=bandwidth,
        between_latency=latency,
        between_bandwidth=bandwidth,
        eager=math.inf,
    )
    return Case("3DGAN", model, baseline=4, ranks=512, efficiency=0.94)


CASES = (
    _gpus("Inception V3", 142, 23.9e6, 128, 0.90),
    _gpus("ResNet-101", 129, 44.7e6, 128, 0.90),
    _gpus("VGG-16", 154, 138.4e6, 128, 0.79),
    _gpus("Inception V3", 142, 23.9e6, 512, 0.90),
    _gpus("ResNet-101", 129, 44.7e6, 512, 0.90),
    _gpus("VGG-16", 154, 138.4e6, 512, 0.68),
    _3dgan(),
)


def with_assumptions(
    case: Case, variation: float = _VARIATION, overlap: float = _OVERLAP, share: float = _SHARE
) -> Case:
    """Return a case with other values for what its source does not give."""
    model = replace(
        case.model,
        variation=variation,
        within_bandwidth=case.model.within_bandwidth / _SHARE * share,
        between_bandwidth=case.model.between_bandwidth / _SHARE * share,
    )
    return replace(case, model=model, overlap=overlap)


def text() -> str:
    """Return a table: published and predicted efficiencies and their errors."""
    lines = [f"{'':14} {'ranks':>5} {'published':>9} {'predicted':>9} {'error':>7}  bottleneck"]
    for case in CASES:
        name = case.step(case.ranks).bottleneck
        lines.append(
            f"{case.name:14} {case.ranks:5d} {case.efficiency:9.0%} {case.predicted:9.1%} "
            f"{case.error:+7.1%}  {name}"
        )
    return "\n".join(lines)


def sensitivity() -> str:
    """Return a table: the errors with other values for what the sources do not give."""
    names = "  ".join(f"{case.name} {case.ranks}".rjust(16) for case in CASES)
    lines = [f"{'error with':16}{names}"]
    for name, values in (
        ("variation", (0.0, 0.02, _VARIATION, 0.05)),
        ("overlap", (0.0, 1 / 3, _OVERLAP, 1.0)),
        ("share", (0.8, 0.9, _SHARE, 1.0)),
    ):
        for value in values:
            changed = (with_assumptions(case, **{name: value}) for case in CASES)
            errors = "  ".join(f"{case.error:+16.1%}" for case in changed)
            lines.append(f"{name:10}{value:6.3g}{errors}")
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(text(), sensitivity(), sep="\n\n")
