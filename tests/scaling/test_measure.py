"""One start of a study, on the one rank of this process."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from hpcgan.parallel.silence import Meeting
from hpcgan.scaling import calls, measure
from hpcgan.scaling.model import Traffic
from hpcgan.scaling.runs import Run, read_start, settings
from hpcgan.world import World

# Numbers are sent in rows of 16, and D's last bias is alone in one, as is all that is no gradient.
D = 64 * 128 + 128 + 128 * 128 + 128 + 128 + 16
G = 6 * 128 + 128 + 128 * 128 + 128 + 128 * 64 + 64


def run(world: World, place: Path, kind: str, config: str, *overrides: str) -> Run:
    """Measure for a moment and return what the file holds."""
    (place / "config.yaml").write_text(config)
    words = [str(place / "config.yaml"), str(place / "out.json"), kind, "0.05", *overrides]
    arguments = calls.parse(Run, measure.measure, words)
    arguments.run(world, arguments)
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml", "data.h5", "out.json"]
    return read_start(place / "out.json", Run)


def test_a_weak_start_has_a_shard_per_rank(world: World, data_file: Path) -> None:
    config = f"data: {{files: [{data_file}]}}\nmodel: {{latent_dim: 6}}\ntrain: {{batch_size: 5}}"
    found = run(world, data_file.parent, "weak", config, "--data.shards", "4")
    assert (found.ranks, found.images, found.samples, found.traffic["exchanges"]) == (1, 5, 5, 1)
    # Two losses and the wish to stop share a row of 16.
    assert found.traffic["gradient_bytes"] == 4 * (G + D + 16)
    assert found.config["train"]["batch_size"] == 5
    assert found.config["data"]["shards"] == 1
    assert "data.shards" not in settings("weak", found.config)
    assert len(found.baseline) == len(found.exchange) == 5
    for each in (*found.baseline, *found.exchange):
        assert 0 <= each.waited[0] < each.seconds[0]
    assert len(found.compute_seconds[0]) >= 2
    assert found.skipped == 0


def test_a_strong_start_keeps_its_shards_and_counts_every_exchange(
    world: World, data_file: Path
) -> None:
    config = (
        f"data: {{files: [{data_file}], shards: 4}}\nmodel: {{latent_dim: 6}}\n"
        "train: {batch_size: 5, update: alternating, discriminator_steps: 2}\n"
        "parallel: {compression: fp16}"
    )
    found = run(world, data_file.parent, "strong", config)
    assert (found.images, found.samples) == (40, 40)
    # Two turns of D and one of G, each gradients of two bytes, and then a loss and the wish.
    assert found.traffic["exchanges"] == 6
    assert found.traffic["gradient_bytes"] == 2 * (2 * D + G) + 3 * 4 * 16


def test_networks_that_take_labels_get_them(world: World, data_file: Path) -> None:
    with h5py.File(data_file, "a") as file:
        file["labels"] = np.arange(40) % 3
    config = (
        f"data: {{files: [{data_file}], labels: labels}}\n"
        "model: {name: dcgan, width: 2, condition: projection}\ntrain: {batch_size: 5}"
    )
    found = run(world, data_file.parent, "weak", config)
    assert math.isfinite(found.step)


def test_what_the_ranks_of_split_send() -> None:
    # One rank trains G, three D: theirs is the only all-reduce that goes anywhere.
    hand_over = [Meeting("hand-over", 4, 3000, 900), Meeting("hand-over", 4, 300, 1000)]
    g = [Meeting("sum", 1, 5000, 5000), hand_over[0]]
    d = [Meeting("sum", 3, 800, 800), Meeting("sum", 3, 800, 800), hand_over[1]]
    assert measure.traffic([g, d, d, d], 1) == Traffic(
        exchanges=0,
        group_bytes=1600,
        group_exchanges=2,
        group_share=0.75,
        hand_over_bytes=3000,
        hand_overs=1,
        batch_share=0.25,
    )


def test_what_ranks_with_discriminators_of_their_own_send() -> None:
    own = [Meeting("sum", 2, 800, 800), Meeting("sum", 4, 1200, 1200)]
    assert measure.traffic([own] * 4, 0) == Traffic(
        gradient_bytes=1200, group_bytes=800, group_exchanges=1, group_share=0.5
    )
