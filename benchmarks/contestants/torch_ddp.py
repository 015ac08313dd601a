"""The same networks, batch and updates with PyTorch's DistributedDataParallel over gloo.

    torchrun --nproc-per-node 2 benchmarks/contestants/torch_ddp.py mlp|dcgan SECONDS

Runs in an environment with torch and numpy alone. One thread per rank, as with the others.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

BATCH, LATENT = 64, 100


def mlp() -> tuple[nn.Module, nn.Module]:
    """Return G and D of the article, as hpcgan's mlp."""

    def hidden(inputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2)]

    generator = nn.Sequential(
        *hidden(LATENT), nn.Linear(128, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))
    )
    return generator, nn.Sequential(nn.Flatten(), *hidden(784), nn.Linear(128, 1))


def dcgan() -> tuple[nn.Module, nn.Module]:
    """Return G and D as hpcgan's dcgan of width 64 at 28x28."""

    def up(inputs: int, outputs: int, bias: bool) -> nn.Module:
        return nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1, bias=bias)

    generator = nn.Sequential(
        nn.Linear(LATENT, 7 * 7 * 128, bias=False),
        nn.BatchNorm1d(7 * 7 * 128),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        up(128, 64, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        up(64, 1, bias=True),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(7 * 7 * 128, 1),
    )
    return generator, discriminator


def main() -> None:
    """Measure; rank 0 prints steps per second."""
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    step = Step({"mlp": mlp, "dcgan": dcgan}[sys.argv[1]])
    for _ in range(5):
        step()
    began = time.perf_counter()
    for _ in range(5):
        step()
    steps = torch.tensor(max(5, round(5 * float(sys.argv[2]) / (time.perf_counter() - began))))
    if dist.is_initialized():
        dist.broadcast(steps, 0)
        dist.barrier()
    began = time.perf_counter()
    for _ in range(int(steps)):
        step()
    slowest = torch.tensor(time.perf_counter() - began)
    if dist.is_initialized():
        dist.all_reduce(slowest, dist.ReduceOp.MAX)
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(f"{int(steps) / float(slowest):.3f}", flush=True)
    if dist.is_initialized():
        dist.barrier()
        os._exit(0)  # gloo's threads may else abort a process that has done its work


class Step:
    """One simultaneous update of both networks: D's gradients do not touch G, nor G's D."""

    def __init__(self, build) -> None:  # type: ignore[no-untyped-def]
        self.networks = list(build())
        if dist.is_initialized():
            self.networks = [DistributedDataParallel(each) for each in self.networks]
        self.generator, self.discriminator = self.networks
        self.optimizers = [
            torch.optim.Adam(each.parameters(), 2e-4, betas=(0.5, 0.999)) for each in self.networks
        ]
        self.loss = nn.BCEWithLogitsLoss()
        samples = np.random.default_rng(0).integers(0, 256, (BATCH, 1, 28, 28)).astype(np.uint8)
        self.samples = torch.from_numpy(samples)

    def __call__(self) -> None:
        """Make the update."""
        real = self.samples.float() / 127.5 - 1
        ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
        fake = self.generator(torch.randn(BATCH, LATENT))
        self.optimizers[1].zero_grad()
        both = self.discriminator(torch.cat([real, fake.detach()]))
        (self.loss(both[:BATCH], ones) + self.loss(both[BATCH:], zeros)).backward()
        for weight in self.discriminator.parameters():
            weight.requires_grad_(False)
        plain = getattr(self.discriminator, "module", self.discriminator)
        self.optimizers[0].zero_grad()
        self.loss(plain(fake), ones).backward()
        for weight in self.discriminator.parameters():
            weight.requires_grad_(True)
        for optimizer in self.optimizers:
            optimizer.step()


if __name__ == "__main__":
    main()
