"""What a KME answers, as JSON: ETSI GS QKD 014 V1.1.1, tables 9, 11 and 13.

Containers are filled into a template, with one call of base64 for all keys of a request.
"""

import binascii
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

from bellwire.keys.kme import KEY_ID_BYTES, Delivery, Limits, PairStatus

_START, _END = b'{"key_ID":"', b'"},'
_GROUPS = (8, 4, 4, 4, 12)  # digits between the hyphens of a UUID
_HEAD = np.frombuffer(_START + b"-".join(b"0" * each for each in _GROUPS) + b'","key":"', np.uint8)
_TAIL = np.frombuffer(_END, np.uint8)
_BEFORE_KEY = len(_HEAD)


def container(delivery: Delivery) -> bytes:
    """Table 11, in the order of `delivery`; its copy of the keys is wiped."""
    plain = _container(delivery)
    if delivery.extension is None:
        return plain
    extension = msgspec.json.encode(dict(delivery.extension))
    return plain[:-1] + b',"key_container_extension":' + extension + b"}"


def _container(delivery: Delivery) -> bytes:
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


def error(message: str, details: Sequence[Mapping[str, object]] = ()) -> bytes:
    """Table 13."""
    content: dict[str, object] = {"message": message}
    if details:
        content["details"] = list(details)
    return msgspec.json.encode(content)


def _one(digits: str, key: bytes) -> bytes:
    named = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()
    return b'{"key_ID":"%b","key":"%b"}' % (named, binascii.b2a_base64(key, newline=False))


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
    rows = _rows(count, characters).copy()
    digits = np.frombuffer(ids.hex().encode(), np.uint8).reshape(count, 2 * KEY_ID_BYTES)
    taken, at = 0, len(_START)
    for group in _GROUPS:
        rows[:, at : at + group] = digits[:, taken : taken + group]
        taken, at = taken + group, at + group + 1
    missing = -length % 3
    stop = _BEFORE_KEY + characters - missing
    rows[:, _BEFORE_KEY:stop] = _base64(keys, count, length)[:, : characters - missing]
    return b'{"keys":[' + rows.tobytes()[:-1] + b"]}"


@lru_cache(maxsize=4)
def _rows(count: int, characters: int) -> npt.NDArray[np.uint8]:
    """What is the same for all keys of a length: names, hyphens, and the padding of base64."""
    rows = np.full((count, _BEFORE_KEY + characters + len(_END)), ord("="), np.uint8)
    rows[:, :_BEFORE_KEY] = _HEAD
    rows[:, -len(_END) :] = _TAIL
    return rows


def _base64(keys: bytes, count: int, length: int) -> npt.NDArray[np.uint8]:
    """A row for each key, as if zeros followed to a multiple of 3 bytes, by one call for all."""
    missing = -length % 3
    if missing:
        padded = np.zeros((count, length + missing), np.uint8)
        padded[:, :length] = np.frombuffer(keys, np.uint8).reshape(count, length)
        keys = padded.tobytes()
    return np.frombuffer(binascii.b2a_base64(keys, newline=False), np.uint8).reshape(count, -1)
