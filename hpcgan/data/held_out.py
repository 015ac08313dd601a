"""Samples that a run is not trained on, by which it is judged."""

from __future__ import annotations

import dataclasses

from hpcgan.config import Config
from hpcgan.data.source import Source, open_source
from hpcgan.errors import ConfigError, DataError
from hpcgan.world import World


def open_held_out(
    world: World, config: Config, files: list[str], key: str, source: Source
) -> Source:
    """Return the samples of ``files``, which ``key`` of the configuration names.

    All ranks must call it.

    Raises:
        ConfigError: they are trained on, too.
        DataError: they are of another kind than ``source``, which is trained on, or a file is
            missing or damaged; the same on all ranks.
    """
    held_out = open_source(world, dataclasses.replace(config.data, files=files))
    if both := sorted(set(held_out.files) & set(source.files)):
        raise ConfigError(
            f"{both[0]}: is named in data.files and in {key}, which are samples that "
            "are not trained on",
            on_all_ranks=True,
        )
    if held_out.kind != source.kind:
        raise DataError(
            f"{held_out.files[0]}: {key} has samples {held_out.kind}, and those of "
            f"{source.files[0]} are {source.kind}: shape, dtype and mapping of values must agree",
            on_all_ranks=True,
        )
    return held_out
