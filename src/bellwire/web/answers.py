"""What a KME answers, as JSON: ETSI GS QKD 014 V1.1.1, tables 9, 11 and 13.

Containers are filled into a template: one call of base64 and one table of hexadecimal digits for
all keys of a request.
"""

import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from bellwire.keys.kme import KEY_ID_BYTES, Delivery, Limits, PairStatus

_HEX = np.array([list(f"{value:02x}".encode()) for value in range(256)], np.uint8)
_START, _ID_END, _END = b'{"key_ID":"', b'","key":"', b'"},'
_GROUPS = (4, 2, 2, 2, 6)  # bytes between the hyphens of a UUID
_UUID_CHARACTERS = 36


def container(delivery: Delivery) -> bytes:
    """Table 11, in the order of `delivery`; its copy of the keys is wiped."""
    keys = delivery.keys.reveal()
    delivery.keys.wipe()
    count = len(delivery.ids) // KEY_ID_BYTES
    if delivery.lengths is not None:
        return _uneven(delivery.ids, keys, delivery.lengths)
    if count == 1:
        return b'{"keys":[' + _one(delivery.ids.hex(), keys) + b"]}"
    return _even(delivery.ids, keys, count)


def status(pair: PairStatus, limits: Limits) -> bytes:
    """Table 9."""
    return msgspec.json.encode(
        {
            "source_KME_ID": pair.source_kme,
            "target_KME_ID": pair.target_kme,
            "master_SAE_ID": pair.master,
            "slave_SAE_ID": pair.slave,
            "key_size": limits.key_bits,
            "stored_key_count": max(0, min(pair.stored_keys, limits.max_key_count)),
            "max_key_count": limits.max_key_count,
            "max_key_per_request": limits.max_keys_per_request,
            "max_key_size": limits.max_key_bits,
            "min_key_size": limits.min_key_bits,
            "max_SAE_ID_count": limits.max_additional_slaves,
            "status_extension": dict(pair.extension),
        }
    )


def error(message: str, details: Sequence[dict[str, str]] = ()) -> bytes:
    """Table 13."""
    content: dict[str, object] = {"message": message}
    if details:
        content["details"] = list(details)
    return msgspec.json.encode(content)


def _one(digits: str, key: bytes) -> bytes:
    named = (
        f'{{"key_ID":"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}'
        '","key":"'
    )
    return named.encode() + binascii.b2a_base64(key, newline=False) + b'"}'


def _uneven(ids: bytes, keys: bytes, lengths: Sequence[int]) -> bytes:
    parts, at = [], 0
    for i, length in enumerate(lengths):
        digits = ids[i * KEY_ID_BYTES : (i + 1) * KEY_ID_BYTES].hex()
        parts.append(_one(digits, keys[at : at + length]))
        at += length
    return b'{"keys":[' + b",".join(parts) + b"]}"


def _even(ids: bytes, keys: bytes, count: int) -> bytes:
    """Keys of one length: a row of the same width for each."""
    length = len(keys) // count
    characters = 4 * -(-length // 3)
    width = len(_START) + _UUID_CHARACTERS + len(_ID_END) + characters + len(_END)
    rows = np.empty((count, width), np.uint8)
    at = _put(rows, 0, _START)
    digits = _HEX[np.frombuffer(ids, np.uint8)].reshape(count, 2 * KEY_ID_BYTES)
    taken = 0
    for group in _GROUPS:
        if taken:
            at = _put(rows, at, b"-")
        rows[:, at : at + 2 * group] = digits[:, 2 * taken : 2 * (taken + group)]
        at, taken = at + 2 * group, taken + group
    at = _put(rows, at, _ID_END)
    rows[:, at : at + characters] = _base64(keys, count, length, characters)
    _put(rows, at + characters, _END)
    return b'{"keys":[' + rows.tobytes()[:-1] + b"]}"


def _put(rows: npt.NDArray[np.uint8], at: int, text: bytes) -> int:
    rows[:, at : at + len(text)] = np.frombuffer(text, np.uint8)
    return at + len(text)


def _base64(keys: bytes, count: int, length: int, characters: int) -> npt.NDArray[np.uint8]:
    """(count, characters): each key by itself, padded (RFC 4648, 4), by one call for all."""
    missing = -length % 3
    if missing:
        padded = np.zeros((count, length + missing), np.uint8)
        padded[:, :length] = np.frombuffer(keys, np.uint8).reshape(count, length)
        keys = padded.tobytes()
    text = np.frombuffer(binascii.b2a_base64(keys, newline=False), np.uint8)
    table = text.reshape(count, characters).copy()
    if missing:
        table[:, characters - missing :] = ord("=")
    return table
