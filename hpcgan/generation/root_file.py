"""Samples as a tree of ROOT's, by uproot: what analyses in high energy physics read.

The tree ``samples`` has an entry a sample: ``cells``, an array of fixed size with the values in C
order, and ``energy`` (the label of networks with real labels) or ``label`` (a class). The object
``fingerprint`` says of a part what it is of. ROOT's files hold the time at which they were written,
so that they are not the same bytes again; what the tree holds is.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from hpcgan.files import Disk
from hpcgan.generation.form import Form


def write(
    disk: Disk, form: Form, pieces: Iterator[dict[str, np.ndarray]], fingerprint: str
) -> None:
    """Write pieces, each of several samples, to an open file.

    Raises:
        OSError: there is no room.
    """
    import uproot

    zlib: Any = uproot.ZLIB(4) if form.output.compression == "gzip" else None
    own = io.FileIO(os.dup(disk.fileno()), "r+")  # which uproot closes
    with uproot.recreate(own, compression=zlib) as file:
        if fingerprint:
            file["fingerprint"] = fingerprint
        branches = {name: (one.dtype, one.shape[1:]) for name, one in form.one.items()}
        tree = file.mktree("samples", branches, initial_basket_capacity=1000)
        for piece in pieces:
            tree.extend(piece)
