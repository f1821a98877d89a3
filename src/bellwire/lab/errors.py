"""What goes wrong in the lab, beyond what the link and distillation refuse.

BellwireError
├── UsageError
│   ├── UnknownParameter   a word that no experiment has; the known ones are named         exit 2
│   ├── RangeError         `--over` that is no range, or asks for too many experiments     exit 2
│   ├── FileUnusable       a configuration file or the output folder                       exit 2
│   ├── OtherSweep         the output folder holds a sweep with other fixed parameters     exit 2
│   ├── LibraryMissing     an optional library was asked for and is not installed          exit 2
│   ├── ClusterUnfit       no address of a cluster, or workers of another version          exit 2
│   ├── BackendUnknown     no backend has this name                                        exit 2
│   └── AccountMissing     a backend of IBM's was asked for, without an account            exit 2
├── WorkerLost             a worker process ended; what is done is kept                    exit 1
└── UnreachableError
    ├── ClusterUnreachable no Dask scheduler answers                                       exit 4
    ├── ClusterLost        a cluster went away; what is done is kept                       exit 4
    └── BackendUnreachable IBM's service does not answer, or not to this account           exit 4

Values outside their ranges raise the `ParameterError` of the link or of distillation.
"""

from collections.abc import Iterable
from pathlib import Path

from bellwire.base.errors import BellwireError, UnreachableError, UsageError, get_extra


class UnknownParameter(UsageError):
    """A word that names no parameter.

    Attributes:
        name: The word.
        known: Those that would do.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"expected one of the parameters {', '.join(self.known)}, got {name}")


class RangeError(UsageError):
    """A range that cannot be swept."""


class FileUnusable(UsageError):
    """A file or folder that the lab needs cannot be read or written.

    Attributes:
        path: Which.
    """

    def __init__(self, path: Path, expected: str, got: str, *, hint: str | None = None) -> None:
        super().__init__(f"expected {expected} {path}, got: {got}", hint=hint)
        self.path = path


class OtherSweep(UsageError):
    """The folder belongs to a sweep that differs in more than its ranges.

    Attributes:
        path: The folder.
        differing: Parameters that are not alike.
    """

    def __init__(self, path: Path, differing: Iterable[str]) -> None:
        self.path = path
        self.differing = tuple(differing)
        super().__init__(
            f"expected a new folder or one of the same sweep, got {path} "
            f"with another {', '.join(self.differing)}",
            hint="Choose another folder with --out, or give the parameters that sweep.json names.",
        )


class LibraryMissing(UsageError):
    """A library that the core install leaves out was asked for.

    Attributes:
        library: Its name.
    """

    def __init__(self, library: str, extra: str | None = None) -> None:
        """`extra` is the optional dependency of bellwire that brings it; None if none does."""
        super().__init__(
            f"expected the library {library}, which is not installed",
            hint=f"Install it beside bellwire: pip install {library}"
            if extra is None
            else get_extra(extra),
        )
        self.library = library


class BackendUnknown(UsageError):
    """No backend has this name.

    Attributes:
        name: The name.
    """

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        """`known` are the local ones, if it might have been one of them."""
        some = ", ".join(known)
        super().__init__(
            f"expected a backend that this account can use, got {name}"
            if not some
            else f"expected a local backend that there is, got {name}",
            hint=f"There are {some}." if some else None,
        )
        self.name = name


class AccountMissing(UsageError):
    """IBM's service needs an account, and none was found."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"expected an account of IBM Quantum for the backend {name}, got none",
            hint="Put its token into the environment as QISKIT_IBM_TOKEN, or save it once with "
            "QiskitRuntimeService.save_account. Backends called fake_… need none.",
        )


class BackendUnreachable(UnreachableError):
    """IBM's service does not answer, not to this account, or ended the job."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(
            f"expected IBM's service to run circuits on {name}, got {type(error).__name__}",
            hint="Is the network up, and the token in QISKIT_IBM_TOKEN, or the saved one, still "
            "valid? --debug shows what the service said.",
        )


class WorkerLost(BellwireError):
    """A worker process ended before its experiment did."""

    def __init__(self, code: int) -> None:
        super().__init__(
            f"expected a worker's result, got its end with code {code}",
            hint="What is done is kept; run the same sweep again to go on, with fewer --workers "
            "if memory was short.",
        )


class ClusterUnfit(UsageError):
    """The cluster's address is none, or its workers cannot do the work."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message, hint="Workers need the same bellwire and its extra: 'bellwire[dask]'."
        )


class ClusterUnreachable(UnreachableError):
    """No Dask scheduler answers.

    Attributes:
        address: Where.
    """

    def __init__(self, address: str) -> None:
        super().__init__(
            f"expected a Dask scheduler at {address}, got no answer",
            hint="Start one: dask scheduler; then workers: dask worker ADDRESS.",
        )
        self.address = address


class ClusterLost(UnreachableError):
    """A cluster went away in the middle of a sweep.

    Attributes:
        address: Of its scheduler.
    """

    def __init__(self, address: str, expected: str, got: str) -> None:
        super().__init__(
            f"expected {expected} of the cluster {address}, got {got}",
            hint="What is done is kept; the same sweep goes on from there, also without --dask.",
        )
        self.address = address
