"""Which device a person means, by a name or by the beginning of a fingerprint."""

import re
from pathlib import Path
from typing import Final

from bellwire.iot.errors import DeviceUnknown
from bellwire.iot.identity import ALLOWED_FOLDER, AllowList
from bellwire.iot.outputs.cursors import FILE, Cursors

MIN_DIGITS: Final = 8
"""Of a fingerprint, so that none is meant by chance."""


def find_device(folder: Path, said: str) -> tuple[bytes, str]:
    """The fingerprint and the name of a device that is admitted, or brought readings before.

    Args:
        folder: The cloud's state folder.
        said: A name, or 8 or more hexadecimal digits that a fingerprint begins with.

    Raises:
        DeviceUnknown: no device is called so, or more than one.
        StoreFailed, PathUnusable, PathExposed: the cloud's files cannot be read.
    """
    known: dict[bytes, str] = {}
    if (folder / FILE).exists():
        with Cursors(folder / FILE) as cursors:
            known |= cursors.names()
    if (folder / ALLOWED_FOLDER).exists():
        admitted = AllowList(folder / ALLOWED_FOLDER).load().values()
        known |= {each.fingerprint: each.name for each in admitted}
    digits = re.fullmatch(rf"[0-9a-f]{{{MIN_DIGITS},64}}", said) is not None
    found = [
        device
        for device, name in known.items()
        if name == said or (digits and device.hex().startswith(said))
    ]
    if len(found) != 1:
        raise DeviceUnknown(
            f"expected the name of one device, or {MIN_DIGITS} or more digits of its fingerprint, "
            f"got {said!r}, which {len(found) or 'no'} devices have",
            hint=f"Devices that may come are in {folder / ALLOWED_FOLDER}.",
        )
    return found[0], known[found[0]]
