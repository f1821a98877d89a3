"""What stands before the line when nodes meet by signatures: an exchange, while one has no key.

It runs once in the life of a pair of nodes, on the connection that the line then uses. Bob stores
before he says so, Alice after; what becomes of a crash in between is in spec/first-contact.md.
"""

import asyncio

import structlog

from bellwire.base.detections import Side
from bellwire.base.ending import to_its_end
from bellwire.base.frames import read_frame, write_frame
from bellwire.crypto.randomness.source import RandomSource
from bellwire.crypto.signatures import SigningKey
from bellwire.distill.contact_frames import MAX_FRAME, is_first_contact, refusal
from bellwire.distill.errors import ContactRefused, DistillError, PeerMismatch, Refusal
from bellwire.distill.first_contact import Agreement, Alice, Bob
from bellwire.keys.model import ContactMethod, FirstContact
from bellwire.keys.store import KeyStore

CONTACT_TIMEOUT_S = 10.0
log = structlog.get_logger()


class SignedContact:
    """Stands before the line of one node.

    Args:
        side: Whose node this is.
        store: Its key store.
        identity: Its long-term key.
        peer: Fingerprint of the peer's, 32 bytes.
        random: What nonces and the ephemeral seed are drawn from.

    Raises:
        ParameterError: the fingerprint is our own.
    """

    def __init__(
        self,
        side: Side,
        store: KeyStore,
        identity: SigningKey,
        peer: bytes,
        random: RandomSource,
    ) -> None:
        self._side = side
        self._store = store
        self._identity = identity
        self._peer = peer
        self._random = random
        Alice(identity, peer, random.draw)  # refuses our own fingerprint at the start

    async def meet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes | None
    ) -> bytes | None:
        """Come to a key if there is none; Bob returns the first frame of the line, read here.

        Args:
            reader: Of the connection.
            writer: Of the connection.
            first: The peer's first frame, if it was read already.

        Raises:
            ContactRefused: the other end is not the peer, or one of the two holds a key already.
            MalformedMessage, PeerMismatch: it does not speak this version of first contact.
            ConnectionEnded, FrameTooLarge, TimeoutError: the connection is over.
            StoreError, PreplacedKeyInvalid: the key could not be stored.
            RandomnessFailed: nothing fresh can be said.
        """
        async with asyncio.timeout(CONTACT_TIMEOUT_S):
            if self._side is Side.ALICE:
                if await asyncio.to_thread(self._store.first_contact) is None:
                    await self._call(reader, writer)
                return None
            first = first or await read_frame(reader, MAX_FRAME)
            if not is_first_contact(first):
                return await self._line(first)
            try:
                await self._answer(first, reader, writer)
            except DistillError as error:
                await write_frame(writer, refusal(_told(error)))
                raise
            return await self._line(await read_frame(reader, MAX_FRAME))

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        alice = Alice(self._identity, self._peer, self._random.draw)
        await write_frame(writer, await asyncio.to_thread(alice.hello))
        proof = alice.receive_answer(await read_frame(reader, MAX_FRAME))
        await write_frame(writer, proof)
        await self._keep(alice.receive_stored(await read_frame(reader, MAX_FRAME)), None)

    async def _answer(
        self, hello: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        held = await asyncio.to_thread(self._store.first_contact)
        bob = Bob(self._identity, self._peer, self._random.draw)
        answer = await asyncio.to_thread(bob.receive_hello, hello)
        if not await asyncio.to_thread(self._store.takes_preplaced):
            raise ContactRefused(
                "the peer asks for first contact, and this node holds a key that it has used",
                reason=Refusal.KEY_HELD,
                hint="If the other site lost its state or was restored, here: bellwire keys fence.",
            )
        await write_frame(writer, answer)
        agreement = bob.receive_proof(await read_frame(reader, MAX_FRAME))
        await self._keep(agreement, held)
        await write_frame(writer, bob.stored())

    async def _keep(self, agreement: Agreement, held: FirstContact | None) -> None:
        """Store durably, unless another exchange did since `held` was read."""
        contact = FirstContact(ContactMethod.SIGNED, agreement.peer, agreement.exchange)
        install = self._store.install_preplaced
        try:
            await to_its_end(asyncio.to_thread(install, agreement.key, contact, instead_of=held))
        finally:
            agreement.key.wipe()
        log.info("first contact made", method=contact.method.value, peer=contact.peer.hex())

    async def _line(self, first: bytes) -> bytes:
        if await asyncio.to_thread(self._store.first_contact) is None:
            raise ContactRefused(
                "expected a peer without a key, as this node has none, got one that has it",
                hint="If this site lost its state or was restored, there: bellwire keys fence.",
            )
        return first


def _told(error: DistillError) -> Refusal:
    if isinstance(error, ContactRefused):
        return error.reason
    return Refusal.VERSION if isinstance(error, PeerMismatch) else Refusal.NOT_ACCEPTED
