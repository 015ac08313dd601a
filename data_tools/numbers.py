"""The values of a source's samples as they are stored: uint8, or float32.

uint8 from 0 to 255 stays as it is; all else becomes float32, as ``--values`` says. What has no
value (NaN, the fill value of a netCDF variable) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from data_tools.account import Account
from data_tools.formats import Images
from hpcgan.data import values as mappings
from hpcgan.data.values import Step, Values
from hpcgan.errors import ConfigError, DataError
from hpcgan.files import default_chunk
from hpcgan.world import World

_PACKING = ("scale_factor", "add_offset")  # x = scale_factor * stored + add_offset (CF, 8.1)
_FILLS = ("_FillValue", "missing_value")
_NETCDF_FILL = 9.96920996838687e36  # of floats that were never written (netcdf.h)


def parse(words: Sequence[str]) -> Values:
    """Return the mappings of ``--values``, none for identity.

    Raises:
        ConfigError: a word names none.
    """
    try:
        steps = [Step.parse(word) for word in words]
    except ValueError as error:
        raise ConfigError(f"--values: {error}") from None
    return tuple(step for step in steps if step.name != "identity")


def as_stored(images: Images, steps: Values, account: Account, world: World) -> Images:
    """Return images of uint8 or float32 whose attribute ``values`` tells how they were made.

    A source that ``convert`` wrote keeps what its attribute tells, and ``steps`` come after that.
    All ranks must call it: the range of ``minmax`` is that of all samples.

    Raises:
        DataError: the values are no numbers, lack a value, or do not fit.
    """
    before = world.all_or_raise(lambda: _values_of(images))
    images = world.all_or_raise(lambda: _unpacked(_checked(images), account))
    images = replace(images, attributes={})
    done: Values = ()
    for step in steps:
        if step.name == "minmax" and not step.numbers:
            step = _range(_mapped(images, done), world)
        done = (*done, step)
    stored = _mapped(images, done) if done else _plain(images, account)
    if done:
        account.note(f"values mapped by {mappings.as_text(done)}, as the attribute 'values' keeps")
        _note_floor(done, account)
    if before:
        account.note(f"values of the source were mapped by {mappings.as_text(before)}, and stay so")
    text = mappings.as_text(before + done)
    return replace(stored, attributes={"values": text} if text else {})


def _values_of(images: Images) -> Values:
    """Return the mappings that the source's attribute ``values`` tells of."""
    if "values" not in images.attributes:
        return ()
    text = str(images.attributes["values"])
    try:
        return mappings.parse(text)
    except ValueError as error:
        raise DataError(
            f"{images.origin}: the attribute 'values' of the images is {text!r}, which convert "
            f"did not write: {error}; delete it"
        ) from None


def _note_floor(steps: Values, account: Account) -> None:
    for step in steps:
        if step.name == "log10":
            account.note(f"values below {step.numbers[0]:g} are raised to it, and come back as 0")


def _checked(images: Images) -> Images:
    """Return images whose fill values and values that are not finite are refused when read."""
    if images.dtype.kind not in "biuf":
        raise DataError(
            f"{images.origin}: the images have dtype {images.dtype}; they must be numbers"
        )
    fills = [value for name in _FILLS for value in _numbers_of(images, name)]
    if images.dtype.kind != "f" and not fills:
        return images

    def read(run: range) -> np.ndarray:
        part = images.read(run)
        wrong = _is_missing(part, fills)
        if wrong.any():
            of_sample = wrong.reshape(len(run), -1).sum(axis=1)
            bad = int(np.flatnonzero(of_sample)[0])
            value = part[bad].reshape(-1)[np.flatnonzero(wrong[bad].reshape(-1))[0]]
            raise DataError(
                f"{images.origin}: sample {run[bad]} has {of_sample[bad]} values {value:g}, which "
                "stand for missing ones; leave such samples out, or fill them in, before converting"
            )
        return part

    return replace(images, read=read)


def _is_missing(part: np.ndarray, fills: Sequence[float]) -> np.ndarray:
    """Return which values stand for none: those that are not finite, and fill values."""
    wrong = np.zeros(part.shape, bool)
    if part.dtype.kind == "f":
        wrong = ~np.isfinite(part)
        fills = [*fills, _NETCDF_FILL]
    with np.errstate(over="ignore"):  # a fill value may be beyond float16
        for fill in fills:
            wrong |= part == fill  # rounded as the values are: -999.9 of float32, too
    return wrong


def _numbers_of(images: Images, name: str) -> list[float]:
    """Return the numbers of an attribute, none if it is not there."""
    value = np.ravel(images.attributes.get(name, ()))
    if value.dtype.kind not in "biuf":
        raise DataError(f"{images.origin}: the attribute {name} is {value.tolist()}, no number")
    found: list[float] = value.tolist()
    return found


def _unpacked(images: Images, account: Account) -> Images:
    """Return images in the units that ``scale_factor`` and ``add_offset`` give."""
    if not images.attributes.keys() & set(_PACKING):
        return images
    packing = []
    for name, default in zip(_PACKING, (1.0, 0.0), strict=True):
        numbers = _numbers_of(images, name) or [default]
        if len(numbers) != 1 or not np.isfinite(numbers[0]) or (default and not numbers[0]):
            raise DataError(
                f"{images.origin}: the attribute {name} is {numbers}, by which values cannot be "
                "unpacked"
            )
        packing.append(float(numbers[0]))
    scale, offset = packing
    account.note(f"values unpacked: {scale:g} x + {offset:g} (scale_factor, add_offset)")
    return replace(
        images,
        dtype=np.dtype("f8"),
        read=lambda run: images.read(run).astype(np.float64) * scale + offset,
    )


def _plain(images: Images, account: Account) -> Images:
    """Return images without a mapping: those that fit as uint8, floats as float32."""
    kind, dtype = images.dtype.kind, images.dtype
    make: Callable[[np.ndarray, range], np.ndarray]
    if kind == "b":
        account.note("values false and true became 0 and 255")

        def make(part: np.ndarray, run: range) -> np.ndarray:
            return part.astype(np.uint8) * np.uint8(255)

    elif kind in "iu":
        if dtype != np.uint8:
            account.note(f"values became uint8 from {dtype.newbyteorder('=')}, and are the same")

        def make(part: np.ndarray, run: range) -> np.ndarray:
            if dtype != np.uint8 and (part.min() < 0 or part.max() > 255):
                raise DataError(
                    f"{images.origin}: samples {run.start} to {run.stop - 1} have values from "
                    f"{part.min()} to {part.max()}; integers must be from 0 to 255, or --values "
                    "minmax (or another) says how they become floats"
                )
            return part.astype(np.uint8)

    else:
        if dtype.itemsize > 4:
            account.note(f"values rounded from {dtype.newbyteorder('=')} to float32")
        elif dtype.itemsize < 4:
            account.note(f"values became float32 from {dtype}, and are the same")

        def make(part: np.ndarray, run: range) -> np.ndarray:
            return _float32(part, images.origin, run)

    stored = np.dtype("f4" if kind == "f" else "u1")
    return replace(images, dtype=stored, read=lambda run: make(images.read(run), run))


def _mapped(images: Images, steps: Values) -> Images:
    """Return images with mapped values, float32."""

    def read(run: range) -> np.ndarray:
        with np.errstate(over="ignore"):
            return _float32(mappings.forward(steps, images.read(run)), images.origin, run)

    return replace(images, dtype=np.dtype("f4"), read=read)


def _float32(part: np.ndarray, origin: str, run: range) -> np.ndarray:
    """Return finite values as float32; refuse what is beyond it."""
    with np.errstate(over="ignore"):
        stored = part.astype(np.float32)
    if not np.isfinite(stored).all():
        raise DataError(
            f"{origin}: samples {run.start} to {run.stop - 1} have values from {part.min():g} to "
            f"{part.max():g}, which are beyond float32; --values says how to map them"
        )
    return stored


def _range(images: Images, world: World) -> Step:
    """Return the mapping of all values to [-1, 1]; the ranks share the reading."""

    def own() -> list[float]:
        total = len(images)
        first, stop = (total * rank // world.size for rank in (world.rank, world.rank + 1))
        step = default_chunk(max(1, images.sample_bytes), total)
        low, high = np.inf, -np.inf
        for begin in range(first, stop, step):
            part = images.read(range(begin, min(begin + step, stop)))
            low, high = min(low, float(part.min())), max(high, float(part.max()))
        return [low, high]

    every = np.array(world.gather_json(world.all_or_raise(own)))
    low, high = float(every[:, 0].min()), float(every[:, 1].max())
    if not low < high:
        raise DataError(
            f"{images.origin}: all values are {low:g}: there is no range for minmax",
            on_all_ranks=True,
        )
    return Step("minmax", (low, high))
