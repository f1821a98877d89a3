"""Which places a public sample takes, as spec/classical-channel.md says: a number for each one."""

from bellwire.crypto.stream import KeyStream

GROUP = 4096
PLACES = 16


def sample_of(count: int, share: float, seed: bytes, label: str) -> list[int]:
    """A one for each place whose number is below the share."""
    limit = min(max(round(share * 2**PLACES), 1), 2**PLACES - 1)
    stretch = PLACES * GROUP // 8
    taken = []
    for first in range(0, count, GROUP):
        data = KeyStream(seed, label).at(first // GROUP * stretch, stretch).tobytes()
        planes = [
            int.from_bytes(data[j * GROUP // 8 : (j + 1) * GROUP // 8], "little")
            for j in range(PLACES)
        ]
        for i in range(min(GROUP, count - first)):
            number = sum((plane >> i & 1) << j for j, plane in enumerate(planes))
            taken.append(int(number < limit))
    return taken
