"""Lists of slots as they cross the wire."""

import numpy as np

from bellwire.base.bits import PackedBits
from bellwire.base.detections import Slots
from bellwire.distill.announcements import decode_plane, encode_plane


def encode_slots(slots: Slots, pulses: int) -> bytes:
    """Slots below `pulses` as a plane."""
    mask = np.zeros(pulses, np.uint8)
    mask[slots] = 1
    return encode_plane(PackedBits.of(mask))


def decode_slots(data: bytes, pulses: int) -> Slots:
    """The slots of a plane; MalformedMessage."""
    return np.flatnonzero(decode_plane(data, pulses, "list of slots").unpack()).astype(np.int64)
