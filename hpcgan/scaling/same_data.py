"""Whether the data of a study are those that it began with: results of others do not go with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hpcgan.config import Config
from hpcgan.data.fingerprint import fingerprints
from hpcgan.data.source import open_source
from hpcgan.errors import ConfigError
from hpcgan.files import write_whole, writing
from hpcgan.scaling.runs import read_json
from hpcgan.world import World


def check(world: World, config: Config, path: Path) -> None:
    """Refuse other data than those whose fingerprints are in ``path``; write these if none are.

    Raises:
        ConfigError: the content of some files is another one.
        UserError: data cannot be read, or the file cannot be written.
    """
    every = {
        "data.files": config.data.files,
        "evaluate.held_out": config.evaluate.held_out,
        "tournament.data": config.tournament.data,
    }
    named = {key: files for key, files in every.items() if files}
    found = {
        key: list(fingerprints(world, open_source(world, replace(config.data, files=files))))
        for key, files in named.items()
    }
    if not path.exists():
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{json.dumps(found, indent=1)}\n".encode())
        return
    before = read_json(path, "list of fingerprints", dict, "move it away")
    for key, own in found.items():
        if before.get(key) != own:
            raise ConfigError(
                f"{path.parent}: was begun with other content of {key} "
                f"({', '.join(named[key])}); a directory holds results of the same data: use "
                "another --out"
            )
