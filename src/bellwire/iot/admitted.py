"""How a device was admitted: what `device enroll` said, to be said again, and where its cloud is.

A file of the device's folder, written by the enrolment with a server of admission and taken away by
any other.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.private import read_own_file, write_whole
from bellwire.iot.enrolment import CERTIFICATE_FILE
from bellwire.iot.errors import IdentityError

FILE: Final = "admission.json"
MAX_FILE: Final = 1 << 16

_Text = Annotated[str, Meta(min_length=1, max_length=4096)]


class Admitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An enrolment with a server of admission.

    Attributes:
        at: Its address.
        name: By which the device is registered.
        server: What the server is called, if not as its address says.
        authorities: File of who signs its certificate.
        log: Where the log is in which the cloud's key is looked up.
        log_policy: File of who must have signed it.
        log_authorities: File of who vouches for the log's TLS.
        cloud: Where the cloud is reached, as `--to` names it.
    """

    at: _Text
    name: _Text
    server: _Text | None = None
    authorities: _Text | None = None
    log: _Text | None = None
    log_policy: _Text | None = None
    log_authorities: _Text | None = None
    cloud: _Text | None = None


_decoder = msgspec.json.Decoder(Admitted)


def load(folder: Path) -> Admitted | None:
    """How the device of a folder was admitted; None: it was not, or not so.

    Raises:
        IdentityError: the file is not what was written.
        PathExposed, PathUnusable: it cannot be read, or others may.
    """
    path = folder / FILE
    data = read_own_file(path, MAX_FILE)
    if data is None:
        return None
    try:
        return _decoder.decode(data)
    except UNDECODABLE as error:
        raise IdentityError(
            f"expected how this device was admitted in {path}, got: {error}",
            hint="Enrol it again: bellwire device enroll --at URL --name NAME",
        ) from error


def keep(folder: Path, admitted: Admitted) -> None:
    """Remember it; durable when this returns. PathUnusable if it cannot be written."""
    write_whole(folder / FILE, msgspec.json.encode(admitted) + b"\n", replace=True)


def forget(folder: Path) -> None:
    """The device was enrolled otherwise: what the server gave is not shown to another's cloud."""
    if (folder / FILE).exists():
        (folder / CERTIFICATE_FILE).unlink(missing_ok=True)
        (folder / FILE).unlink(missing_ok=True)


def cloud_address(folder: Path) -> str | None:
    """Where the cloud is reached, if a server of admission told it; as `load`."""
    found = load(folder)
    return None if found is None else found.cloud
