"""A colour for an address: the eye tells two devices apart. It is decoration, and proves nothing.

Many addresses share a colour, and whoever knows the colour knows 24 bits of a hash of the address:
enough to tell, of a few thousand addresses, which it was. It is shown to those who see the
address anyway, and never goes into the public log.
"""

import hashlib
from dataclasses import dataclass

from bellwire.admission.evidence import Address


@dataclass(frozen=True, slots=True)
class Colour:
    """Red, green and blue, 0 to 255 each."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


def colour(address: Address) -> Colour:
    """The colour of an address; of one of IPv6 the first 64 bits, which a device keeps, count."""
    packed = address.packed if address.version == 4 else address.packed[:8]
    return Colour(*hashlib.sha256(packed).digest()[:3])
