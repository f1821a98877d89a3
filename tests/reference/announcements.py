"""Planes as spec/classical-channel.md codes them, one bit after the other."""


def bits_of(data: bytes, count: int) -> list[int]:
    """The first `count` packed bits; the rest of the bytes must be zero."""
    bits = [byte >> i & 1 for byte in data for i in range(8)]
    assert len(data) == (count + 7) // 8
    assert not any(bits[count:])
    return bits[:count]


def plane_of(data: bytes, size: int) -> list[int]:
    """Read a plane in any of its three forms."""
    form = data[0]
    if form == 0:
        return bits_of(data[1:], size)
    rare, k = int.from_bytes(data[1:5], "little"), data[5]
    stream = [byte >> i & 1 for byte in data[6:] for i in range(8)]
    plane, at, place = [form - 1] * size, 0, -1
    for _ in range(rare):
        quotient = 0
        while not stream[at]:
            quotient, at = quotient + 1, at + 1
        rest = sum(bit << i for i, bit in enumerate(stream[at + 1 : at + 1 + k]))
        place += (quotient << k) + rest + 1
        plane[place] = 2 - form
        at += 1 + k
    assert len(stream) - at < 8
    assert not any(stream[at:])
    return plane
