"""Accounts of the relay that `bellwire relay` runs."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.chat.accounts.people import PASSWORD, secret
from tests.chat.relay.running import HOUR, Process, account, run
from tests.chat.store.people import begin, know, open_person

from bellwire.chat.accounts.answers import Session
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.fields import AccountReason
from bellwire.chat.accounts.stock import replenish
from bellwire.chat.card import Card, read_link
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import AccountRefused
from bellwire.chat.prekeys import Prekey
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import ToAccounts, encode
from bellwire.chat.safety import safety_number
from bellwire.chat.store.person import Person

MAILBOX, RIGHT = b"m" * 16, bytes(range(32))


def messages(stream: bytearray) -> bytes:
    """What a side of a WebSocket said, without masks (RFC 6455, 5.2)."""
    said, at = bytearray(), stream.index(b"\r\n\r\n") + 4
    while at < len(stream):
        masked, length = stream[at + 1] & 0x80, stream[at + 1] & 0x7F
        more = {126: 2, 127: 8}.get(length, 0)
        at += 2
        if more:
            length = int.from_bytes(stream[at : at + more], "big")
            at += more
        mask = stream[at : at + 4] if masked else bytes(4)
        at += 4 if masked else 0
        said += bytes(byte ^ mask[n % 4] for n, byte in enumerate(stream[at : at + length]))
        at += length
    return bytes(said)


@contextlib.asynccontextmanager
async def overheard(port: int) -> AsyncIterator[tuple[str, list[bytearray]]]:
    """A way to the relay on which what each side says on each connection is written down."""
    heard: list[bytearray] = []
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(written := bytearray())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                written.extend(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        for way in ((reader, back), (there, writer)):
            tasks.add(asyncio.create_task(copy(*way)))

    server = await asyncio.start_server(come, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()
        await asyncio.gather(*tasks)


def test_somebody_who_knows_a_handle_alone_writes_first_and_both_see_one_safety_number(
    tmp_path: Path,
) -> None:
    relay = Process(tmp_path / "relay")
    known = bytes.fromhex(relay.ready["accounts"])

    async def look_up(url: str, alice: Person, now: float) -> Card:
        """Alice begins a session with whoever has the handle; where to write to."""
        async with await AccountClient.connect(url, known) as client:
            bob = await client.take_bundle("@Bobby", now=now)
        assert not bob.is_last_resort
        assert read_link(bob.link(), now).card == bob.card
        contact = know(alice, bob.handle, bob.bundle.identity).contact
        begin(alice, bob.bundle)
        words = Content(ContentKind.TEXT, os.urandom(16), int(now * 1000), b"Is that you, Bob?")
        alice.send(contact, words)
        return bob.card

    async def story(alice: Person, bob: Person) -> None:
        now = time.time()
        async with overheard(relay.port) as (url, heard):
            async with await RelayClient.connect(relay.url) as owner:
                await owner.login(bob.identity)
                await owner.open_mailbox(MAILBOX, RIGHT)
                await owner.listen()
                async with await AccountClient.connect(url, known) as client:
                    await client.sign_up("bobby", secret(), bob.identity, "Bob's laptop")
                    await replenish(client, bob, "bobby", Card(RIGHT, relay.url, "", "Bob"), now)
                    token = client._token()
                card = await look_up(url, alice, now)
                async with await RelayClient.connect(relay.url) as line:
                    for each in alice.outbox():
                        await line.drop(card.right, each.token, HOUR, each.payload)
                came = bob.receive((await owner.next()).payload, now)
            assert came.content is not None
            assert came.content.text == b"Is that you, Bob?"
            one, other = (each.identity.public.fingerprint for each in (alice, bob))
            assert came.contact == one
            assert safety_number(one, other) == safety_number(other, came.contact)
        said = b"".join(messages(stream) for stream in heard)
        assert len(said) > 500_000
        assert encode(ToAccounts(1, b"")) in said  # what is not sealed is seen
        for kept_secret in (b"bobby", PASSWORD, token, RIGHT, b"laptop", b"sign up"):
            assert kept_secret not in said

    try:
        with open_person(tmp_path / "alice") as alice, open_person(tmp_path / "bob") as bob:
            run(story(alice, bob))
    finally:
        relay.stop()
    assert relay.said == b""


def test_what_was_answered_outlives_a_relay_that_is_killed(tmp_path: Path) -> None:
    relay = Process(tmp_path / "relay")
    known = bytes.fromhex(relay.ready["accounts"])
    sessions: list[Session] = []
    now = time.time()

    async def before(bob: Person) -> None:
        async with await AccountClient.connect(relay.url, known) as client:
            sessions.append(await client.sign_up("bobby", secret(), bob.identity, "laptop"))
            await replenish(client, bob, "bobby", Card(RIGHT, relay.url, "", "Bob"), now)
            taken.append((await client.take_bundle("bobby", now=now)).bundle.one_time)
            relay.kill()

    async def after(bob: Person) -> None:
        async with await AccountClient.connect(relay.url, known) as client:
            with pytest.raises(AccountRefused) as caught:
                await client.sign_up("bobby", secret(), open_identity, "laptop")
            assert caught.value.reason == AccountReason.TAKEN
            client.resume(sessions[0])
            assert (await client.stock()).one_time == 99
            taken.append((await client.take_bundle("bobby", now=now)).bundle.one_time)
            await client.log_out_everywhere()
            relay.kill()

    async def at_last() -> None:
        async with await AccountClient.connect(relay.url, known) as client:
            client.resume(sessions[0])
            with pytest.raises(AccountRefused) as caught:
                await client.devices()
            assert caught.value.reason == AccountReason.SESSION_OVER

    taken: list[Prekey | None] = []
    open_identity = account(77)
    with open_person(tmp_path / "bob") as bob:
        run(before(bob))
        relay = Process(tmp_path / "relay")
        run(after(bob))
        relay = Process(tmp_path / "relay")
        run(at_last())
        relay.stop()
    assert None not in taken
    assert taken[0] != taken[1]
