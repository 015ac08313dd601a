"""Names under which sources as people download them hold samples and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_tools.account import Account
from data_tools.conversion import Conversion
from hpcgan.errors import ConfigError, DataError


@dataclass(frozen=True)
class Chosen:
    """The arrays that are taken of a source; ``layout`` is the order of axes that is known."""

    images: str
    labels: str | None
    layout: str | None = None


# Of each name of samples: names of their labels, the first that is there, and the order of axes.
_PAIRS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "images": (("labels", "ans", "label", "y"), None),  # Galaxy10 has "ans"
    "imgs": (("labels",), "NCHW"),  # BigGAN-PyTorch's make_hdf5.py
    "x": (("y", "labels", "label"), None),  # PCam, whose y is in another file
    "X": (("y", "Y", "labels", "label"), None),
    "data": (("labels", "label", "y"), None),
    "samples": (("labels", "label", "y"), None),
    "arr_0": (("labels", "label", "y"), None),  # np.savez without names
    "showers": (("incident_energies",), None),  # CaloChallenge
    "ECAL": (("energy", "target"), "NDHW"),  # 3DGAN
    "full": (("unitPar", "physPar"), None),  # CosmoFlow: one universe a file
}
_LABELS = ("labels", "label", "y", "Y", "ans", "incident_energies", "energy", "target", "arr_0")
_MOST_LISTED = 20
_REFUSED = {
    "particle_features": "JetNet's sets of particles, which are no images: there is no order or "
    "grid of particles that convolutions could use"
}


def choose(
    names: Sequence[str], conversion: Conversion, origin: str, account: Account, kind: str
) -> Chosen:
    """Return the arrays to take of those that are there.

    Args:
        names: of the arrays.
        conversion: may name them; "images" and "labels" come first, known names after them.
        origin: the source's name.
        account: gets what is taken by a known name, and what is left out.
        kind: what the arrays are called, "dataset" or "array".

    Raises:
        DataError: there are no samples by a known name, or several.
    """
    known = _pairs(names, conversion)
    images = conversion.images or _only(names, known, origin, kind)
    own, layout = known.get(images, (("labels",), None))
    labels = None if conversion.labels else next((each for each in own if each in names), None)
    labels = conversion.own_labels or labels
    if conversion.images is None and images != "images":
        account.note(f"samples from {kind} '{images}'")
    if conversion.labels is None and labels not in (None, "labels"):
        account.note(f"labels from {kind} '{labels}'")
    if conversion.images is None or conversion.labels is None:
        for each in names:
            if each not in (images, labels):
                account.leave_out(f"{kind}s beside the samples and labels", each)
    return Chosen(images, labels, None if conversion.layout else layout)


def _pairs(
    names: Sequence[str], conversion: Conversion
) -> dict[str, tuple[tuple[str, ...], str | None]]:
    """Return the known pairs, with those of the split that is asked for (Keras' mnist.npz)."""
    parts = [each.removeprefix("x_") for each in names if each.startswith("x_")]
    if conversion.split and conversion.split not in parts:
        raise ConfigError(
            f"{conversion.source}: there is no array x_{conversion.split} in it (--split)"
        )
    split = conversion.split or "train"
    return _PAIRS | {f"x_{split}": ((f"y_{split}",), None)}


def _only(
    names: Sequence[str],
    known: dict[str, tuple[tuple[str, ...], str | None]],
    origin: str,
    kind: str,
) -> str:
    """Return the one name of samples that is there."""
    found = [each for each in known if each in names]
    if "images" in found:
        return "images"
    there = f"its {kind}s are: {listed(names)}"
    for name, reason in _REFUSED.items():
        if name in names:
            raise DataError(f"{origin}: holds '{name}': {reason}; {there} (--images NAME)")
    if len(found) > 1:
        raise DataError(
            f"{origin}: the samples may be {' or '.join(found)}: --images NAME says which; {there}"
        )
    if not found:
        raise DataError(f"{origin}: there is no {kind} 'images'; {there}")
    return found[0]


def choose_labels(names: Sequence[str], name: str | None, origin: str, kind: str) -> str:
    """Return the array of labels to take of a file of labels.

    Raises:
        DataError: none is known, or several.
    """
    if name:
        return name
    found = [each for each in _LABELS if each in names] or list(names)
    if "labels" in found:
        return "labels"
    if len(found) != 1:
        raise DataError(
            f"{origin}: --labels {origin}:NAME says which {kind} holds the labels; its {kind}s "
            f"are: {listed(names)}"
        )
    return found[0]


def listed(names: Sequence[str]) -> str:
    """Return names, or the first ones, as text."""
    shown = list(names[:_MOST_LISTED])
    return ", ".join([*shown, *(["..."] if len(names) > len(shown) else [])]) or "none"
