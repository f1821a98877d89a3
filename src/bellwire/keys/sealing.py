"""How what the store keeps is sealed: AES-256-GCM, a key of its own for each table and block.

The key of a box is HKDF-SHA256(data key, salt = the store's random id, info = table,
side, block). A sealed value is `nonce (12, random) ‖ ciphertext ‖ tag (16)`, with table, side,
block and index as associated data, so that a value moved to another row, table, block, side or
store does not open.

Random nonces, not the index: a transaction that failed may have left its values in the write-ahead
log, and its repetition may seal others under the same index. As each table and block has its own
key, at most 2^23 values (`MAX_SECRET_BITS` in units) ever share one; the chance that any two of
them share a nonce is below 2^-51 (NIST SP 800-38D, 8.3, allows 2^32 values at 2^-32).
"""

import secrets
from typing import Final

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto.aead import KEY_BYTES, NONCE_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.keys.errors import StoreCorrupt

DATA_KEY_BYTES = 32
STORE_ID_BYTES = 32

STORE_KEY: Final = Wrapped(
    what="data key of the store",
    form="bellwire wrapped data key 1",
    file="key.wrapped",
    bare="kek",
    setting="kek.source",
    sizes=(DATA_KEY_BYTES, DATA_KEY_BYTES),
    make=lambda: secrets.token_bytes(DATA_KEY_BYTES),
)
"""A store's data key; versions before the envelope left it bare."""

KEPT_BOXES = 8
"""Boxes that are kept: to derive one takes longer than to open a segment with it."""

_LABEL = b"bellwire keys at rest 1"


class Box:
    """Seals and opens the values of one table and block."""

    __slots__ = ("_cipher", "_context", "_what")

    def __init__(self, key: bytes, context: bytes, what: str) -> None:
        self._cipher = AesGcm(key)
        self._context = context
        self._what = what

    def __repr__(self) -> str:
        return f"Box({self._what})"

    def seal(self, index: int, data: bytes) -> bytes:
        """Seal `data` as number `index` of this box."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.seal(nonce, data, self._context + index.to_bytes(8, "big"))

    def open(self, index: int, sealed: bytes) -> bytes:
        """Open number `index` of this box.

        Raises:
            StoreCorrupt: it is not what was sealed there.
        """
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            if len(nonce) == NONCE_BYTES:
                aad = self._context + index.to_bytes(8, "big")
                return self._cipher.open(nonce, rest, aad)
        except AuthenticationFailed as error:
            raise self._corrupt(index) from error
        raise self._corrupt(index)

    def _corrupt(self, index: int) -> StoreCorrupt:
        return StoreCorrupt(f"number {index} of {self._what} is not what was stored there")


class Sealer:
    """Makes the boxes of one store, and keeps the last few: neighbours lie in one block."""

    __slots__ = ("_data_key", "_kept", "_side", "_store_id")

    def __init__(self, data_key: Secret, store_id: bytes, side: Side) -> None:
        self._data_key = data_key
        self._store_id = store_id
        self._side = side
        self._kept: dict[tuple[str, int], Box] = {}

    def __repr__(self) -> str:
        return f"Sealer({self._side.value})"

    def derive(self, purpose: str) -> Secret:
        """A key of this store alone for something that is no box."""
        info = _LABEL + b" derived\0" + purpose.encode()
        salt = self._store_id
        return Secret(hkdf(self._data_key.reveal(), salt=salt, info=info, length=KEY_BYTES))

    def box(self, table: str, block: int) -> Box:
        """The box of `table` and `block`."""
        kept = self._kept.get((table, block))
        if kept is not None:
            return kept
        context = b"\0".join((_LABEL, table.encode(), self._side.value.encode(), b""))
        context += block.to_bytes(8, "big")
        key = hkdf(self._data_key.reveal(), salt=self._store_id, info=context, length=KEY_BYTES)
        made = Box(key, context, f"{table} of block {block}")
        # Another dict each time: the threads of a store ask without a lock.
        self._kept = dict([*self._kept.items()][1 - KEPT_BOXES :]) | {(table, block): made}
        return made
