"""The demo's folder: one demo at a time, nothing left of an earlier one, nothing half-written."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.base.local import MAX_SOCKET_PATH
from bellwire.base.lock import held

LONGEST_SOCKET = "demo/node-a/operator.sock"


class DemoBusy(UsageError):
    """Another demo uses the same state folder."""


@contextlib.contextmanager
def workplace(state: Path) -> Iterator[Path]:
    """A fresh folder `state`/demo for one demo, removed of what an earlier one left.

    The lock lies beside the folder and goes with the process that holds it, however that ends.

    Raises:
        DemoBusy: another demo runs there.
        UsageError: the state folder cannot be written, or its path is too long for sockets.
    """
    longest = len(os.fsencode(state / LONGEST_SOCKET))
    if longest > MAX_SOCKET_PATH:
        raise UsageError(
            f"expected a state folder whose path has at most "
            f"{MAX_SOCKET_PATH - len(LONGEST_SOCKET) - 1} bytes, got {state}",
            hint="The services' sockets lie below it; choose a shorter one with --state.",
        )
    folder, lock = state / "demo", state / "demo.lock"
    if os.path.lexists(folder) and not lock.exists():
        raise UsageError(
            f"expected no folder {folder} but that of an earlier demo, got another",
            hint="It would be removed: choose another state folder with --state.",
        )
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(state, error) from error
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(lock))
        except BlockingIOError as error:
            raise DemoBusy(
                f"another demo is running with the state folder {state}",
                hint="Wait for it to end, or choose another folder with --state.",
            ) from error
        except OSError as error:
            raise _unwritable(state, error) from error
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
            (folder / "logs").mkdir()
        except OSError as error:
            raise _unwritable(state, error) from error
        yield folder


def check_report_folder(folder: Path) -> None:
    """Make the folder of the report now: to find at the end that it cannot be would waste the run.

    Raises:
        UsageError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write the report to {folder}: {error.strerror}",
            hint="Choose another folder with --report.",
        ) from error


def _unwritable(state: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot write to the state folder {state}: {error.strerror or error}",
        hint="Choose another one with --state, or mend its permissions.",
    )
