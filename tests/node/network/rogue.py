"""A site's process whose relay alters what it carries: `python rogue.py network run …`."""

from bellwire.base.secret import Secret
from bellwire.cli.main import main
from bellwire.network.hop import ShareHeader
from bellwire.network.node import RelayNode

honest = RelayNode._share


async def altering(self: RelayNode, header: ShareHeader, share: Secret) -> None:
    data = bytearray(share.reveal())
    data[len(data) // 2] ^= 0 if header.last else 16
    await honest(self, header, Secret(data))


RelayNode._share = altering  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
