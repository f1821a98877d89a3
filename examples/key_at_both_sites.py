"""One key at two sites, over ETSI GS QKD 014: ask for it at yours, tell its id, fetch it there.

    python examples/key_at_both_sites.py URL_A FOLDER_A URL_B FOLDER_B

`bellwire up` gives all of it: URLs https://127.0.0.1:8441 and https://127.0.0.1:8442, and folders
with certificates, `saes/app-a` and `saes/app-b` in its state folder. In real use each half runs at
its own site, and nothing but the id and what is sealed goes between them.
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bellwire.etsi014.client import Client
from bellwire.etsi014.credentials import Credentials

MASTER, SLAVE = "app-a", "app-b"
NONCE = bytes(12)  # each key seals one message


def send(url: str, credentials: Credentials, message: bytes) -> tuple[str, bytes]:
    """At the master's site: the id of a new key, and the message under it."""
    with Client(url, credentials) as kme:
        (key,) = kme.get_keys(SLAVE, number=1, bits=256)
    return key.key_id, AESGCM(key.key.reveal()).encrypt(NONCE, message, None)


def receive(url: str, credentials: Credentials, key_id: str, sealed: bytes) -> bytes:
    """At the slave's site: the message. The key is given out once."""
    with Client(url, credentials) as kme:
        (key,) = kme.get_keys_with_ids(MASTER, [key_id])
    return AESGCM(key.key.reveal()).decrypt(NONCE, sealed, None)


def main(url_a: str, folder_a: Path, url_b: str, folder_b: Path) -> None:
    """Both halves, one after the other."""
    ours, theirs = (
        Credentials(folder / f"{sae}.crt", folder / f"{sae}.key", folder / "ca.crt")
        for folder, sae in ((folder_a, MASTER), (folder_b, SLAVE))
    )
    key_id, sealed = send(url_a, ours, b"meet me at noon")
    print(f"key {key_id}, {len(sealed)} bytes sealed")
    print(receive(url_b, theirs, key_id, sealed).decode())


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
