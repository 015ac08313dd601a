"""Packages of others: which versions are installed, and why one cannot be imported."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec


def version_of(module: str) -> str:
    """Return the version of an installed module; "none" if it is missing.

    It may have come in a distribution of another name (tensorflow-cpu, tensorflow-rocm), or in
    none, as a cluster's modules do: then it is known, or else "unknown", once it is imported.
    """
    with suppress(PackageNotFoundError):
        return version(module)
    # What follows reads the files of all distributions: nobody waits for it who need not.
    for name in packages_distributions().get(module, ()):
        with suppress(PackageNotFoundError):
            return version(name)
    if find_spec(module) is None:
        return "none"
    return str(getattr(sys.modules.get(module), "__version__", "unknown"))


def problem(module: str) -> str:
    """Import a module; return what is wrong with it in words that follow its name, or "".

    Whatever it raises comes from how it is installed.
    """
    try:
        importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            return "is not installed"
        said = str(error).strip().splitlines()[:1]
        return f"cannot be imported: {': '.join([type(error).__name__, *said])}"
    return ""
