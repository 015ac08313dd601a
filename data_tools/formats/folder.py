"""Folders of pictures; the names of sub-folders are the classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, is_hidden
from data_tools.formats.collection import Held, images_of
from hpcgan.errors import DataError
from hpcgan.world import World

OPTIONS = frozenset({"size", "crop", "grey", "background", "skip_broken"})


def _open_folder(conversion: Conversion, account: Account, world: World) -> Images:
    """Open the pictures of a folder, at any depth."""
    source = str(conversion.source)
    # Rank 0 alone lists: thousands of ranks would keep a shared file system busy.
    found = world.on_root(lambda: _listed(source))
    for why, names in found["left out"].items():
        for name in names:
            account.leave_out(why, name)

    def opened(name: str) -> IO[bytes]:
        return open(f"{source}/{name}", "rb")  # noqa: PTH123 (each Path takes its time)

    held = Held(source, found["names"], opened, found["folders"], between="/")
    return images_of(held, conversion, account, world)


def _listed(source: str) -> dict[str, Any]:
    """Return the files below a folder, its sub-folders, and what of both is left out."""
    names: list[str] = []
    folders: list[str] = []
    left_out: dict[str, list[str]] = {}
    seen = {_identity(source)}
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = sorted(os.scandir(f"{source}/{inside}"), key=lambda entry: entry.name)
            for entry in entries:
                name = f"{inside}{entry.name}"
                if is_hidden(entry.name):
                    left_out.setdefault("hidden", []).append(name)
                elif entry.is_file():
                    names.append(name)
                elif not entry.is_dir():
                    left_out.setdefault("neither file nor folder", []).append(name)
                elif (identity := _identity(entry.path)) in seen:  # a link may make a circle
                    left_out.setdefault("link to a folder that is read already", []).append(name)
                else:
                    seen.add(identity)
                    waiting.append(f"{name}/")
                    if not inside:
                        folders.append(name)
        except OSError as error:
            raise DataError(f"{source}/{inside}: cannot be read: {error.strerror}") from None
    return {"names": names, "folders": folders, "left out": left_out}


def _identity(path: str) -> tuple[int, int]:
    """Return what tells a folder from others, by whichever path one comes to it."""
    found = os.stat(path)  # noqa: PTH116
    return found.st_dev, found.st_ino


FOLDER = Format("folder", Path.is_dir, _open_folder, OPTIONS)
