"""Data sets that are known by name: ``--dataset`` sets what was not given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from data_tools.account import Account
from data_tools.conversion import Conversion


@dataclass(frozen=True)
class _Dataset:
    """What ``Conversion`` has fields for, of a data set."""

    images: str
    labels: str
    shape: tuple[int, ...]
    values: tuple[str, ...]


def _calochallenge(*shape: int) -> _Dataset:
    """Return the Fast Calorimeter Simulation Challenge's (https://calochallenge.github.io).

    Its showers are flattened, layers first, then angles, then radii; energies are in MeV, up to
    those of particles of 1 TeV.
    """
    return _Dataset("showers", "incident_energies", shape, ("scale:1e-6,0",))


DATASETS = {
    "calochallenge-2": _calochallenge(45, 16, 9),
    "calochallenge-3": _calochallenge(45, 50, 18),
}


def filled(conversion: Conversion, account: Account) -> Conversion:
    """Return a conversion with what its data set sets, where it was not given, and say so."""
    if conversion.dataset is None:
        return conversion
    dataset = DATASETS[conversion.dataset]
    given = {name: value for name, value in vars(dataset).items() if not getattr(conversion, name)}
    said = " ".join(f"--{name} {_word(value)}" for name, value in given.items())
    if said:
        account.note(f"{conversion.dataset} sets {said}")
    return replace(conversion, **given)


def _word(value: str | tuple[object, ...]) -> str:
    """Return an option's value as it is written on the command line."""
    return value if isinstance(value, str) else ",".join(map(str, value))
