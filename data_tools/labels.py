"""Labels of any kind as they are stored: classes (N,), int32 or int64, or conditions, float32.

Conditions are (N,), or (N, K) for K values per sample. A label that would change is refused.
"""

from __future__ import annotations

import numpy as np

from data_tools.account import Account
from hpcgan.errors import DataError
from hpcgan.terminal import printable

_MOST_WHOLE = 2**24  # up to which float32 holds every whole number
_MOST_SHOWN = 20  # classes or conditions in a line


def as_stored(
    labels: np.ndarray, classes: tuple[str, ...], samples: int, origin: str, account: Account
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as they are stored, and the names of their classes, if they have any.

    Args:
        labels: as ``Images.labels`` are.
        classes: names that the source gives to the labels.
        samples: the number of samples.
        origin: what begins messages.
        account: gets what was done.

    Raises:
        DataError: they are not as many as the samples, or of a kind that cannot be stored.
    """
    squeezed = _squeezed(labels, samples)
    if squeezed.shape != labels.shape:
        account.note(f"labels {labels.shape} became {squeezed.shape}")
    if squeezed.ndim not in (1, 2) or len(squeezed) != samples:
        raise DataError(
            f"{origin}: the labels have shape {labels.shape}; for {samples} images they must be "
            f"({samples},), ({samples}, K) conditions or ({samples}, K) of one-hot classes, or "
            "--labels none"
        )
    kind = squeezed.dtype.kind
    if kind in "SUO":
        return _of_texts(squeezed, origin, account)
    if kind not in "biuf":
        raise DataError(
            f"{origin}: the labels have dtype {labels.dtype}; they must be numbers or texts, or "
            "--labels none"
        )
    if squeezed.ndim == 2 and _is_one_hot(squeezed):
        account.note(f"labels one-hot {squeezed.shape} became their classes")
        return squeezed.argmax(axis=1).astype(np.int32), classes
    if kind == "f":
        return _conditions(squeezed, origin, account), ()
    if squeezed.ndim == 2:
        raise DataError(
            f"{origin}: the labels have shape {labels.shape} and dtype {labels.dtype}, but are not "
            "one-hot: each sample has one class; give one column in a file (--labels FILE), or "
            "--labels none"
        )
    if kind == "b":
        account.note("labels false and true became 0 and 1")
    return _whole(squeezed, origin), classes


def _squeezed(labels: np.ndarray, samples: int) -> np.ndarray:
    """Return labels without axes of length 1: (N, 1), (1, N) and (N, 1, K) become (N,), (N, K)."""
    if labels.ndim < 2:
        return labels
    if labels.size == samples:
        return labels.reshape(samples)
    return labels.reshape(len(labels), *(side for side in labels.shape[1:] if side > 1))


def _whole(labels: np.ndarray, origin: str) -> np.ndarray:
    """Return whole numbers as int32, or int64 where they need it."""
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if high >= 2**63:
        raise DataError(f"{origin}: a label is {high}, which is beyond 64-bit integers")
    fits = low >= -(2**31) and high < 2**31
    return labels.astype(np.int32 if fits else np.int64)


def _conditions(labels: np.ndarray, origin: str, account: Account) -> np.ndarray:
    """Return real values as float32; whole ones must stay what they are."""
    wrong = ~np.isfinite(labels)
    if wrong.any():
        first = int(np.flatnonzero(wrong.reshape(len(labels), -1).any(axis=1))[0])
        raise DataError(f"{origin}: the label of sample {first} is {labels[first]}")
    with np.errstate(over="ignore"):
        stored = labels.astype(np.float32)
    changed = stored.astype(labels.dtype) != labels
    lost = changed & ((np.rint(labels) == labels) & (np.abs(labels) > _MOST_WHOLE))
    if lost.any() or not np.isfinite(stored).all():
        first = int(
            np.flatnonzero((lost | ~np.isfinite(stored)).reshape(len(labels), -1).any(1))[0]
        )
        raise DataError(
            f"{origin}: the label of sample {first} is {labels[first]}, which float32 does not "
            "hold; are these numbers of something? give integers, or --labels none"
        )
    if labels.ndim == 1 and bool((np.rint(labels) == labels).all()):
        account.note(
            f"labels are whole numbers in {labels.dtype.newbyteorder('=')}: they stay real "
            "conditions; classes are integers"
        )
    if changed.any():
        account.note(f"labels rounded from {labels.dtype.newbyteorder('=')} to float32")
    return stored


def _of_texts(
    labels: np.ndarray, origin: str, account: Account
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the numbers of texts in their order, and the texts: the names of the classes."""
    if labels.ndim != 1:
        raise DataError(f"{origin}: the labels are texts of shape {labels.shape}; one a sample")
    texts = np.array([as_text(each) for each in labels.tolist()], dtype=object)
    classes = in_order(set(texts.tolist()))
    numbers = {name: number for number, name in enumerate(classes)}
    account.note(f"labels of {len(classes)} texts became classes, in the order of their names")
    return np.array([numbers[each] for each in texts.tolist()], np.int32), tuple(classes)


def as_text(label: object) -> str:
    """Return a label's text; what is not UTF-8 in it is shown as such."""
    return label.decode("utf-8", "backslashreplace") if isinstance(label, bytes) else str(label)


def in_order(names: set[str]) -> list[str]:
    """Return names of classes in order: by their value if all are whole numbers, else as texts."""
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _is_one_hot(labels: np.ndarray) -> bool:
    """Return whether each row (of (N, K), K > 1) has a single 1, and zeros."""
    return (
        labels.shape[1] > 1
        and bool(np.isin(labels, (0, 1)).all())
        and bool((labels.astype(bool).sum(axis=1) == 1).all())
    )


def describe(labels: np.ndarray, classes: tuple[str, ...]) -> str:
    """Return the classes with their counts, or the range of conditions, in a line."""
    if labels.dtype.kind == "f":
        columns = labels.reshape(len(labels), -1)
        spans = [f"{each.min():g} to {each.max():g}" for each in columns.T[:_MOST_SHOWN]]
        more = [f"... ({columns.shape[1]} values)"] if len(spans) < columns.shape[1] else []
        return f"labels from {', '.join([*spans, *more])}"
    found, counts = np.unique(labels, return_counts=True)
    names = [
        f"{label}{f' {classes[label]}' if 0 <= label < len(classes) else ''}: {count}"
        for label, count in zip(found.tolist(), counts.tolist(), strict=True)
    ]
    shown = names if len(names) <= _MOST_SHOWN else [*names[:17], "...", *names[-2:]]
    missing = sorted(set(range(len(classes))) - set(found.tolist()))
    without = [classes[number] for number in missing[:_MOST_SHOWN]]
    if len(missing) > len(without):
        without.append("...")
    none = f"; no sample has {', '.join(without)}" if missing else ""
    return printable(f"{len(found)} classes: {', '.join(shown)}{none}")
