"""Features of real data, kept from one evaluation to the next.

A file for each block of samples, named by a hash of these, the extractor and the version of hpcgan:
it is never wrong, at most no longer asked for. The cache saves time and nothing depends on it: what
cannot be read or written is left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
from pathlib import Path

import numpy as np

from hpcgan import __version__
from hpcgan.blocks import BLOCK
from hpcgan.evaluation.features import Extractor, with_probabilities
from hpcgan.evaluation.samples import Samples


def cached(extractor: Extractor, samples: Samples) -> Samples:
    """Return real samples with their features, which are computed where the cache has none.

    Needs no other rank. For extractors that take longer than reading a file: not for pca, whose
    axes are new for other data.
    """
    rows = [np.zeros((0, extractor.dimension))]
    for begin in range(0, len(samples.images), BLOCK):
        images = samples.images[begin : begin + BLOCK]
        file = _file(extractor, images)
        found = _read(file, (len(images), extractor.dimension))
        if found is None:
            found = extractor.features(images)
            _write(file, found)
        rows.append(found)
    known = dataclasses.replace(samples, features=np.concatenate(rows))
    return with_probabilities(extractor, known)


def directory() -> Path:
    """Return where the files are; it may not be there."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with contextlib.suppress(RuntimeError):  # no home
        return Path(base).expanduser() / "hpcgan" / "features"
    return Path(base) / "hpcgan" / "features"


def _file(extractor: Extractor, images: np.ndarray) -> Path:
    """Return the file of a block."""
    about = f"{__version__} {extractor.identity} {images.dtype.str} {images.shape} "
    digest = hashlib.sha256(about.encode() + np.ascontiguousarray(images).tobytes())
    return directory() / f"{digest.hexdigest()}.npy"


def _read(file: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the features of a file; None if it is not there or not whole."""
    try:
        # Read as bytes first: a header may claim an array of any size.
        if file.stat().st_size > 8 * shape[0] * shape[1] + 1024:
            return None
        found: np.ndarray = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    is_whole = found.shape == shape and found.dtype == np.float64 and np.isfinite(found).all()
    return found if is_whole else None


def _write(file: Path, features: np.ndarray) -> None:
    """Write features under another name and rename the file, if that is possible."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as opened:
                np.save(opened, features, allow_pickle=False)
            partial.replace(file)
        except OSError:
            partial.unlink()
