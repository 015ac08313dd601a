"""``hpcgan export``: from a checkpoint to a file that another program can use.

The file, PATH.json and PATH.check.npz are made in PATH.partial, compared with the checkpoint's own
generator, and then renamed, the file last: under its name it is whole, and none is left on failure.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcgan import packages
from hpcgan.devices import Alone, prepare_tensorflow
from hpcgan.errors import ConfigError
from hpcgan.files import partial_path, writing
from hpcgan.generation.sampler import check_trusted
from hpcgan.run_or_checkpoint import find

OPSET = 13
CHECKED = 16  # samples in PATH.check.npz
_FORMS = {".keras": "keras", "": "saved_model", ".onnx": "onnx"}


@dataclass(frozen=True)
class Wanted:
    """What is exported, and how.

    Attributes:
        path: a checkpoint, or a run directory for its newest whole one.
        out: G.keras, G.onnx, or a directory for a SavedModel.
        opset: of ONNX, 11 to 18; None for ``OPSET``.
        checked: whether the file is loaded again and compared.
        trusted: whether the functions that the checkpoint names for its networks may be run.
    """

    path: Path
    out: Path
    opset: int | None = None
    checked: bool = True
    trusted: bool = False


def export(wanted: Wanted) -> str:
    """Write a checkpoint's generator, and return in a line what was written.

    Raises:
        ConfigError: an option is wrong, a package is missing, the path is a population's, or the
            checkpoint names functions that may not be run.
        DataError: ``out`` is in no directory.
        CheckpointError: the checkpoint is missing or damaged.
        RunError: ``out`` cannot be written, or its runtime gives other samples.
    """
    form = _form(wanted)
    _check_free(wanted.out)
    found = find(wanted.path)
    if not wanted.trusted:
        check_trusted(found, "export")
    prepare_tensorflow(Alone())
    if form == "onnx":
        _check_packages(wanted)
    # They import TensorFlow.
    from hpcgan.export import formats, metadata, model, verify

    formats.stay_on_the_processor()
    exported = model.build(found)
    serve = model.serving(exported)
    inputs = model.first_inputs(found, max(verify.BATCHES))
    opset = wanted.opset or OPSET
    about = metadata.describe(found, form, opset if form == "onnx" else None)

    def here(inputs: model.Inputs) -> np.ndarray:
        """Return what the file should: Keras runs operations one by one, the others compiled."""
        given = exported(inputs, training=False) if form == "keras" else serve(**inputs)
        return np.array(given["samples"])

    with _renamed_when_whole(wanted.out) as (file, beside, check):
        with writing(wanted.out):
            formats.write(exported, serve, form, file, about, opset)
            first = {name: array[:CHECKED] for name, array in inputs.items()}
            np.savez(check, **first, samples=here(first))
        said = "not checked"
        if wanted.checked:
            modules = metadata.modules(found)
            agreement = verify.verify(form, file, inputs, here, modules, wanted.out)
            about["check"] = agreement.as_json(form)
            said = f"largest difference {agreement.difference:g} in a range of {agreement.range:g}"
        with writing(wanted.out):
            beside.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return f"generator of {found.path} in {wanted.out}: {said}"


def _form(wanted: Wanted) -> str:
    """Return the format that the options ask for."""
    out = wanted.out
    if out.suffix not in _FORMS:
        raise ConfigError(
            f"--out {out}: the suffix must be .keras or .onnx, or none for a SavedModel's directory"
        )
    form = _FORMS[out.suffix]
    if wanted.opset is not None and form != "onnx":
        raise ConfigError(f"--opset {wanted.opset} is for .onnx, and --out is {out}")
    return form


def _check_packages(wanted: Wanted) -> None:
    """Refuse ONNX where a package for it is missing."""
    for name in ("onnx", "tf2onnx", *(["onnxruntime"] if wanted.checked else [])):
        wrong = packages.problem(name)
        if wrong:
            otherwise = ", or use --no-check" if name == "onnxruntime" else ""
            raise ConfigError(
                f"--out {wanted.out}: {name} {wrong}: pip install 'hpcgan[export]'{otherwise}"
            )


def _beside(out: Path) -> tuple[Path, Path]:
    """Return the names of the metadata and of the check."""
    return out.with_name(f"{out.name}.json"), out.with_name(f"{out.name}.check.npz")


def _check_free(out: Path) -> None:
    """Refuse to replace anything."""
    for path in (out, *_beside(out)):
        if os.path.lexists(path):
            raise ConfigError(f"{path}: is there already; delete it, or choose another --out")


@contextmanager
def _renamed_when_whole(out: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Give the paths of file, metadata and check to write; rename them to their names at the end.

    The directory that they are written in is replaced if a killed export has left it.
    """
    partial = partial_path(out)
    ends = (out, *_beside(out))
    parts = [partial / each.name for each in ends]
    try:
        with writing(out):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
        yield parts[0], parts[1], parts[2]
        with writing(out):
            for part, end in reversed(list(zip(parts, ends, strict=True))):
                part.rename(end)
    except BaseException:
        # The file comes last: without it, the others are of no use.
        for end in ends[1:]:
            with suppress(OSError):
                end.unlink()
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
