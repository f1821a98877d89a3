"""Libraries that the core install leaves out, imported when something needs them.

They are extras of the package (`./bellwire extras`), or the user's own as pandas is.
"""

from importlib import import_module
from types import ModuleType

from bellwire.lab.errors import LibraryMissing

EXTRAS = {
    "distributed": "dask",
    "pennylane": "pennylane",
    "qiskit": "qiskit",
    "qiskit_aer": "qiskit",
    "qiskit_ibm_runtime": "qiskit",
}
"""Library → the extra of bellwire that brings it; others are installed by themselves."""


def load(module: str, *libraries: str) -> ModuleType:
    """Import a module that needs `libraries`, one of ours or one of theirs.

    Args:
        module: Its full name.
        libraries: Top-level names of the libraries; the module's own unless given.

    Raises:
        LibraryMissing: one of them is not installed. A module that is missing within them, or in
            ours, is a fault and stays a ModuleNotFoundError.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing not in (libraries or (module.partition(".")[0],)):
            raise
    raise LibraryMissing(missing, EXTRAS.get(missing))
