"""How messages of the peering are sealed on a connection, sans-I/O.

Each side sends `MAGIC ‖ nonce (32)` and has a key of its own for its direction:
HKDF-SHA256(MAC key of the link, salt = Alice's nonce ‖ Bob's, info = label ‖ sender). Message
number i is AES-256-GCM under that key with i as its nonce (NIST SP 800-38D, 8.2.1), so that none
can be dropped, repeated, reordered or changed unnoticed. The MAC key was pre-placed or agreed at
first contact and has 256 bits: no public-key algorithm, and so no quantum computer, opens this.
Nothing here is secret but who talks to whom.
"""

import secrets

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto.aead import KEY_BYTES, NONCE_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import KME_PEERING
from bellwire.keys.errors import PeeringBroken
from bellwire.keys.peering.messages import MAX_MESSAGE

MAGIC = b"bellwire kme 1\n"
NONCE = 32
HELLO = len(MAGIC) + NONCE
MAX_FRAME = MAX_MESSAGE + 16


def is_hello(frame: bytes) -> bool:
    """Whether a connection's first frame begins a peering, of whatever version."""
    return frame.startswith(MAGIC[:13])


class Line:
    """Seals and opens the messages of one connection.

    Args:
        side: Which side this is.
        mac_key: Of the link. Secret.
    """

    def __init__(self, side: Side, mac_key: Secret) -> None:
        self._side = side
        self._mac_key = mac_key
        self._nonce = secrets.token_bytes(NONCE)
        self._keys: dict[Side, bytes] = {}
        self._sent = self._received = 0

    def hello(self) -> bytes:
        """The first frame of this side."""
        return MAGIC + self._nonce

    def receive_hello(self, frame: bytes) -> None:
        """Take in the first frame of the peer.

        Raises:
            PeeringBroken: another version, or no such frame.
        """
        if len(frame) != HELLO or not frame.startswith(MAGIC):
            raise PeeringBroken("expected the hello of a peering of version 1, got another")
        nonces = {self._side: self._nonce, self._side.peer: frame[len(MAGIC) :]}
        salt = nonces[Side.ALICE] + nonces[Side.BOB]
        self._keys = {
            side: hkdf(
                self._mac_key.reveal(),
                salt=salt,
                info=KME_PEERING + side.value.encode(),
                length=KEY_BYTES,
            )
            for side in Side
        }

    def seal(self, message: bytes) -> bytes:
        """The frame of the next message of this side."""
        nonce = self._sent.to_bytes(NONCE_BYTES, "big")
        self._sent += 1
        return seal(self._keys[self._side], nonce, message, b"")

    def open(self, frame: bytes) -> bytes:
        """The message in the peer's next frame.

        Raises:
            PeeringBroken: it is not that.
        """
        nonce = self._received.to_bytes(NONCE_BYTES, "big")
        self._received += 1
        try:
            return open_sealed(self._keys[self._side.peer], nonce, frame, b"")
        except AuthenticationFailed as error:
            raise PeeringBroken("a frame of the peering is not the peer's next one") from error
