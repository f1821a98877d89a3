"""Key ids as they leave the node: nobody can say the next one, and both nodes know each.

Inside, a key id says where bits lie, and counts up. Outside, the same 16 bytes go through a secret
permutation (`crypto.permutation`), under a key that both nodes derive from the pre-placed MAC key.
Who sees ids, however many, learns nothing of the ids to come: else he could name one to the peer's
cloud before its owner does, and have that key burnt. An id that was made up leads, but for a chance
below 2⁻⁹⁰, to no bits (at most 2²³ units of a block times 2¹³ lengths, out of 2¹²⁸).
"""

from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import KEY_IDS
from bellwire.crypto.permutation import KEY_BYTES, Permutation
from bellwire.keys.errors import KeyGone, KeyIdMalformed
from bellwire.keys.model import KeyId, OpaqueKeyId


class KeyIdCipher:
    """Hides and finds key ids of one link.

    Args:
        mac_key: The pre-placed MAC key; used through HKDF only. Secret.
    """

    __slots__ = ("_permutation",)

    def __init__(self, mac_key: Secret) -> None:
        self._permutation = Permutation(hkdf(mac_key.reveal(), info=KEY_IDS, length=KEY_BYTES))

    def __repr__(self) -> str:
        return "KeyIdCipher()"

    def hide(self, key_id: KeyId) -> OpaqueKeyId:
        """The id as it leaves the node."""
        return OpaqueKeyId(self._permutation.forward(key_id.to_bytes()))

    def find(self, opaque: OpaqueKeyId) -> KeyId:
        """The id that `hide` was given.

        Raises:
            KeyGone: it was given none that leads here; said as of a key that was fetched before.
        """
        try:
            return KeyId.from_bytes(self._permutation.back(opaque.data))
        except KeyIdMalformed as error:
            raise KeyGone(str(opaque), "it left before, or never was here") from error
