"""libnftables, in this process: nftables' language to the kernel without another program.

A transaction takes a tenth of a millisecond; the program `nft` takes two. One thread at a time.
"""

import ctypes
import errno
import os
from ctypes import c_char_p, c_int, c_uint, c_void_p
from typing import Protocol

from bellwire.guard.errors import FirewallFailed, FirewallUnusable, RightsMissing

LIBRARY = "libnftables.so.1"
_STATELESS, _TERSE = 1 << 2, 1 << 11  # of nft_ctx_output_set_flags, libnftables(3)
MAX_SAID = 2000


class Firewall(Protocol):
    """Whoever runs what nftables' language says."""

    def run(self, commands: str) -> None:
        """All of it, or nothing."""

    def list_table(self, name: str) -> str | None:
        """A table's rules, without what changes; None if there is none."""

    def list_set(self, table: str, name: str) -> str:
        """A set with its elements."""

    def read(self, commands: str) -> str:
        """What is there, in nftables' words."""


class Nft:
    """A context of libnftables.

    Raises:
        FirewallUnusable: the library is not here.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(LIBRARY, use_errno=True)
        except OSError as error:
            raise FirewallUnusable(
                f"expected {LIBRARY}, the library of nftables, got none",
                hint="Install nftables (Debian: libnftables1), or choose another --firewall.",
            ) from error
        self._library = library
        library.nft_ctx_new.restype, library.nft_ctx_new.argtypes = c_void_p, [c_uint]
        library.nft_ctx_free.argtypes = [c_void_p]
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(library, name).argtypes = [c_void_p]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            function = getattr(library, name)
            function.restype, function.argtypes = c_char_p, [c_void_p]
        library.nft_ctx_output_set_flags.argtypes = [c_void_p, c_uint]
        library.nft_run_cmd_from_buffer.restype = c_int
        library.nft_run_cmd_from_buffer.argtypes = [c_void_p, c_char_p]
        self._context = library.nft_ctx_new(0)
        if not self._context:
            raise FirewallUnusable("libnftables did not give a context")
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        """Give it up."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, commands: str) -> None:
        """Run commands as one transaction: all of them, or none.

        Raises:
            RightsMissing: this process may not.
            FirewallFailed: they were not taken.
        """
        self._run(commands, 0)

    def list_table(self, name: str) -> str | None:
        """The rules of a table of family inet, without counts; None if there is none.

        Raises:
            RightsMissing, FirewallFailed: it cannot be told.
        """
        tables = self._run("list tables", 0).splitlines()
        if f"table inet {name}" not in [each.strip() for each in tables]:
            return None
        return self._run(f"list table inet {name}", _STATELESS | _TERSE)

    def list_set(self, table: str, name: str) -> str:
        """A set of a table of family inet, with its elements.

        Raises:
            RightsMissing, FirewallFailed: it cannot be told.
        """
        return self._run(f"list set inet {table} {name}", _STATELESS)

    def read(self, commands: str) -> str:
        """What commands that list answer.

        Raises:
            RightsMissing, FirewallFailed: they were not taken.
        """
        return self._run(commands, 0)

    def _run(self, commands: str, flags: int) -> str:
        self._library.nft_ctx_output_set_flags(self._context, flags)
        ctypes.set_errno(0)
        failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        said: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        wrong: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if not failed:
            return said.decode(errors="replace")
        told = wrong.decode(errors="replace").strip()[:MAX_SAID]
        if os.strerror(errno.EPERM) in told:
            raise RightsMissing(
                "expected to be allowed to change the firewall, got: operation not permitted",
                hint="Run it as root, or give it CAP_NET_ADMIN; --dry-run needs no rights.",
            )
        first = told.splitlines()[0] if told else "no reason was given"
        raise FirewallFailed(f"nftables did not take it: {first}")
