"""The root of every error that bellwire raises on purpose.

BellwireError
├── UsageError        what was asked for cannot be done (arguments, settings)     exit 2
├── RefusedError      refused for security: Eve, failed authentication, link RED      exit 3
└── UnreachableError  a service that is needed does not answer                        exit 4

Each package derives its own errors from one of these, so that a command line maps an error to an
exit code without knowing the package. Messages say what was expected, then what came.
"""

from typing import ClassVar

from bellwire import DISTRIBUTION


class BellwireError(Exception):
    """Something failed, and the message says what; `hint` says what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BellwireError):
    """The request itself is wrong; the same call can only fail again."""

    exit_code: ClassVar[int] = 2


class RefusedError(BellwireError):
    """Refused for security; nothing secret was released."""

    exit_code: ClassVar[int] = 3


class UnreachableError(BellwireError):
    """A service that is needed is not there, or stopped answering."""

    exit_code: ClassVar[int] = 4


def get_extra(extra: str) -> str:
    """The hint for who lacks a library: how to get an optional dependency of what is installed."""
    install = f"pip install '{DISTRIBUTION}[{extra}]'."
    if DISTRIBUTION == "bellwire":
        return f"In a checkout: ./bellwire extras. Elsewhere: {install}"
    return f"Install it: {install}"


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group that is no group itself: what ended tasks that work together."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
