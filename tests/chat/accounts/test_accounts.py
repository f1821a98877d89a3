import asyncio
import hashlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.chat.accounts.people import (
    ALICE,
    BOB,
    DAY,
    NOW,
    PASSWORD,
    UNLIMITED,
    House,
    house_at,
    on,
    published,
    secret,
    signed_up,
)
from tests.chat.relay.running import run

from bellwire.base.handles import HandleMalformed
from bellwire.base.secret import Secret
from bellwire.chat.accounts import answers, requests
from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.desk import MAX_OF_SOURCE, AccountDesk
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.accounts.limits import AccountLimits, Rate
from bellwire.chat.accounts.service import Visit
from bellwire.chat.accounts.store import AccountStore
from bellwire.chat.errors import (
    AccountRefused,
    ChatMisuse,
    RelayChanged,
    RelayRefused,
    RelayUnreachable,
    StoreCorrupt,
)
from bellwire.chat.identity import Identity, IdentityPublic
from bellwire.chat.relay.databases import File
from bellwire.chat.relay.server import Relay
from bellwire.chat.relay.store import RelayStore

OTHER_PASSWORD = b"another long password"


def refused(caught: pytest.ExceptionInfo[AccountRefused]) -> AccountReason:
    return AccountReason(caught.value.reason)


def on_disk(folder: Path) -> bytes:
    """All that accounts keep there, where nobody else may read it."""
    files = list(folder.glob("accounts.sqlite*"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    return b"".join(path.read_bytes() for path in files)


async def is_refused(client: AccountClient, reason: AccountReason) -> None:
    with pytest.raises(AccountRefused) as caught:
        await client.devices()
    assert refused(caught) is reason


def test_who_signs_up_has_a_session_and_logs_in_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house:
            async with await signed_up(house, "@Alice") as client:
                (laptop,) = await client.devices()
                assert (laptop.name, laptop.is_this, laptop.publishes) == ("laptop", True, False)
                assert (laptop.since, laptop.expires) == (NOW, NOW + 30 * DAY)
            async with await house.client() as client:
                session = await client.log_in("ALICE", secret(), "phone")
                assert [each.name for each in await client.devices()] == ["laptop", "phone"]
            async with await house.client() as client:
                phone = (await on(client, session).devices())[1]
                assert phone.is_this

    run(story())


def test_an_unknown_handle_and_a_wrong_password_give_the_same_after_the_same_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[int] = []
    verify = IdentityPublic.verify

    def counted(self: IdentityPublic, signature: bytes, text: bytes, label: bytes) -> None:
        verified.append(len(text))
        verify(self, signature, text, label)

    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice"):
            seen = []
            monkeypatch.setattr(IdentityPublic, "verify", counted)
            for handle, password in (("alice", b"a wrong password"), ("nobob", PASSWORD)):
                async with await house.client() as client:
                    verified.clear()
                    with pytest.raises(AccountRefused) as caught:
                        await client.log_in(handle, secret(password), "laptop")
                    told = str(caught.value)
                    with pytest.raises(AccountRefused) as caught:
                        await client.set_password(handle, secret(), BOB)
                    seen.append((told, str(caught.value), [each > 0 for each in verified]))
            assert seen[0] == seen[1]
            assert seen[0][2] == [True] * 2

    run(story())


@pytest.mark.parametrize("handle", ["alice", "al1ce", "@ALICE", "aiice"])
def test_nobody_takes_anothers_name_nor_one_that_looks_like_it(tmp_path: Path, handle: str) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice"):
            client = await house.client()
            with pytest.raises(AccountRefused, match="looks like it") as caught:
                await client.sign_up(handle, secret(), BOB, "laptop")
            assert refused(caught) is AccountReason.TAKEN
            assert client.session is None
            client.close()

    run(story())


def test_of_many_who_want_a_name_at_once_one_gets_it(tmp_path: Path) -> None:
    async def want(house: House, number: int) -> int:
        async with await house.client() as client:
            try:
                await client.sign_up("alice", secret(), Identity(Secret(bytes([number]) * 64)), "x")
            except AccountRefused as error:
                return error.reason
            return 0

    async def story() -> None:
        async with house_at(tmp_path) as house:
            got = await asyncio.gather(*(want(house, number) for number in range(12)))
            assert sorted(got) == [0] + [AccountReason.TAKEN] * 11

    run(story())


def test_who_got_no_answer_signs_up_again_and_has_one_account(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as first:
            first.close()
            again = await signed_up(house, "alice")
            assert len(await again.devices()) == 2
            again.close()

    run(story())


def test_an_identity_is_claimed_only_by_its_owner(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await house.client() as client:
            honest = Identity.sign

            class Thief:
                """Shows Alice's public key and signs with Bob's."""

                public = ALICE.public

                def sign(self, text: bytes, label: bytes) -> bytes:
                    return honest(BOB, text, label)

            with pytest.raises(AccountRefused) as caught:
                await client.sign_up("alice", secret(), Thief(), "laptop")  # type: ignore[arg-type]
            assert refused(caught) is AccountReason.UNSIGNED
            await client.sign_up("alice", secret(), ALICE, "laptop")

    run(story())


def test_a_proof_serves_on_no_other_line(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            heard: list[bytes] = []
            send = client._wire.ask_accounts

            async def overheard(body: bytes) -> bytes:
                heard.append(body)
                return await send(body)

            client._wire.ask_accounts = overheard  # type: ignore[method-assign]
            await client.log_in("alice", secret(), "laptop")
            async with await house.client() as thief:
                with pytest.raises(RelayUnreachable):
                    await thief._wire.ask_accounts(heard[0])  # as it crossed the line
            key = await client._password_key(secret(), "alice")
            text = requests.proof_text("log in", "alice", client._line.binding)
            async with await house.client() as thief:
                proof = key.sign(text, b"bellwire chat account 1")
                with pytest.raises(AccountRefused) as caught:
                    await thief.ask(requests.LogIn("alice", proof, "x"), answers.Session)
                assert refused(caught) is AccountReason.WRONG

    run(story())


@pytest.mark.parametrize("password", [b"", b"eleven byte", b"x" * 1025])
def test_a_new_password_has_twelve_to_1024_bytes(tmp_path: Path, password: bytes) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await house.client() as client:
            with pytest.raises(ChatMisuse, match="12 to 1024"):
                await client.sign_up("alice", Secret(password), ALICE, "laptop")

    run(story())


@pytest.mark.parametrize("name", ["", "x" * 65, "two\nlines", "\x1b[2J", "\u202egnp"])
def test_a_device_has_a_name_that_prints(tmp_path: Path, name: str) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            (laptop,) = await client.devices()
            with pytest.raises(ChatMisuse, match="1 to 64 characters"):
                await client.name_device(laptop.device, name)
            if 1 <= len(name) <= 64:
                asked = requests.NameDevice(client._token(), laptop.device, name)
                with pytest.raises(AccountRefused) as caught:
                    await client.ask(asked, answers.Done)
                assert refused(caught) is AccountReason.MALFORMED
            await client.name_device(laptop.device, "Büro \N{GRINNING FACE}")
            assert (await client.devices())[0].name == "Büro \N{GRINNING FACE}"

    run(story())


def test_one_device_is_logged_out_and_the_others_stay(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            async with await house.client() as phone:
                session = await phone.log_in("alice", secret(), "phone")
                await client.log_out(session.device)
                await is_refused(phone, AccountReason.SESSION_OVER)
            with pytest.raises(AccountRefused) as caught:
                await client.log_out(session.device)
            assert refused(caught) is AccountReason.NO_DEVICE
            assert [each.name for each in await client.devices()] == ["laptop"]
            await client.log_out()
            with pytest.raises(ChatMisuse, match="log in first"):
                await client.devices()

    run(story())


def test_a_stolen_token_is_worth_nothing_once_all_are_logged_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            stolen = client.session
            assert stolen is not None
            async with await house.client() as thief:
                await on(thief, stolen).devices()
                with pytest.raises(AccountRefused) as caught:
                    await thief.delete("alice", secret(b"not the password"))
                assert refused(caught) is AccountReason.WRONG
                await client.log_out_everywhere()
                await is_refused(thief, AccountReason.SESSION_OVER)

    run(story())


def test_devices_of_others_are_out_of_reach(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as alice:
            async with await signed_up(house, "bobby", BOB) as bob:
                assert alice.session is not None
                for asked in (
                    bob.log_out(alice.session.device),
                    bob.name_device(alice.session.device, "mine"),
                ):
                    with pytest.raises(AccountRefused) as caught:
                        await asked
                    assert refused(caught) is AccountReason.NO_DEVICE
            assert [each.name for each in await alice.devices()] == ["laptop"]

    run(story())


def test_a_session_ends_when_nothing_is_asked_and_at_last_in_any_case(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            for _ in range(7):
                house.pass_s(25 * DAY)
                await client.devices()
            (laptop,) = await client.devices()
            assert laptop.expires == NOW + 180 * DAY
            house.pass_s(5 * DAY)
            await is_refused(client, AccountReason.SESSION_OVER)
            await client.log_in("alice", secret(), "laptop")
            house.pass_s(30 * DAY)
            await is_refused(client, AccountReason.SESSION_OVER)

    run(story())


def test_a_clock_that_goes_back_ends_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            house.now -= 365 * DAY
            assert len(await client.devices()) == 1

    run(story())


def test_beyond_ten_devices_the_one_that_was_silent_longest_goes(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            for number in range(1, 10):
                house.pass_s(7200)
                async with await house.client() as other:
                    await other.log_in("alice", secret(), f"device {number}")
            house.pass_s(7200)
            await client.devices()
            async with await house.client() as other:
                await other.log_in("alice", secret(), "device 10")
                names = [each.name for each in await other.devices()]
            assert names == ["laptop", *(f"device {number}" for number in range(2, 11))]

    run(story())


@pytest.mark.parametrize("by_identity", [False, True])
def test_a_new_password_by_the_old_one_or_by_the_identity_ends_all_sessions(
    tmp_path: Path, by_identity: bool
) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            async with await house.client() as other:
                for wrong in (BOB, secret(b"a wrong password")):
                    with pytest.raises(AccountRefused) as caught:
                        await other.set_password("alice", secret(OTHER_PASSWORD), wrong)
                    assert refused(caught) is AccountReason.WRONG
                proven_by = ALICE if by_identity else secret()
                await other.set_password("alice", secret(OTHER_PASSWORD), proven_by)
                with pytest.raises(AccountRefused):
                    await other.log_in("alice", secret(), "laptop")
                await other.log_in("alice", secret(OTHER_PASSWORD), "laptop")
            await is_refused(client, AccountReason.SESSION_OVER)

    run(story())


def test_guesses_are_few_from_one_address_and_from_all(tmp_path: Path) -> None:
    limits = replace(UNLIMITED, log_ins=AccountLimits().log_ins)

    async def guess(house: House, handle: str) -> AccountReason:
        async with await house.client() as client:
            with pytest.raises(AccountRefused) as caught:
                await client.log_in(handle, secret(b"a wrong password"), "laptop")
            return refused(caught)

    async def story() -> None:
        async with house_at(tmp_path, limits) as house, await signed_up(house, "alice"):
            for handle in ("alice", "nobob"):
                answers = [await guess(house, handle) for _ in range(12)]
                assert answers == [AccountReason.WRONG] * 10 + [AccountReason.TOO_FAST] * 2
            async with await house.client() as client:
                with pytest.raises(AccountRefused, match="too many"):
                    await client.log_in("alice", secret(), "laptop")
                house.pass_s(300)
                await client.log_in("alice", secret(), "laptop")

    run(story())


SLOW = Rate(1.0, 2)


@pytest.mark.parametrize(
    "limits",
    [
        replace(UNLIMITED, requests=SLOW),
        replace(UNLIMITED, sign_ups=SLOW),
        replace(UNLIMITED, account_log_ins=SLOW),
    ],
    ids=["requests", "sign-ups", "log-ins"],
)
def test_a_flood_is_answered_that_it_is_too_fast(tmp_path: Path, limits: AccountLimits) -> None:
    async def ask(client: AccountClient, number: int) -> None:
        if limits.account_log_ins is SLOW:
            await client.log_in("alice", secret(), "laptop")
        else:
            await client.sign_up(f"user-{'abcdef'[number]}", secret(), ALICE, "laptop")

    async def story() -> None:
        async with house_at(tmp_path, limits) as house, await house.client() as client:
            house.pass_s(10)
            await client.sign_up("alice", secret(), ALICE, "laptop")
            house.pass_s(10)
            for number in range(2):
                await ask(client, number)
            with pytest.raises(AccountRefused) as caught:
                await ask(client, 2)
            assert refused(caught) is AccountReason.TOO_FAST
            house.pass_s(1)
            await ask(client, 3)

    run(story())


def test_a_full_relay_takes_nobody_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path, replace(UNLIMITED, accounts=1)) as house:
            client = await signed_up(house, "alice")
            with pytest.raises(AccountRefused) as caught:
                await client.sign_up("bobby", secret(), BOB, "laptop")
            assert refused(caught) is AccountReason.FULL
            client.close()

    run(story())


def test_the_export_says_all_that_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            prekeys = await published(client, one_time=2)
            await client.set_visibility(Visibility.LISTED)
            document = json.loads(await client.export())
            assert client.session is not None
            assert document["handle"] == "alice"
            assert document["visibility"] == "listed"
            assert document["identity"] == ALICE.public.public_bytes.hex()
            assert document["lasting_prekey"] == prekeys[0].encode().hex()
            assert {each["prekey"] for each in document["one_time_prekeys"]} == {
                each.prekey_id.hex() for each in prekeys[1:]
            }
            (device,) = document["devices"]
            assert device["token_sha256"] == hashlib.sha256(client.session.token).hexdigest()
            columns = {
                row[1]
                for table in ("accounts", "devices", "prekeys")
                for row in sqlite3.connect(tmp_path / "accounts.sqlite").execute(
                    f"PRAGMA table_info({table})"
                )
            }
        # Who adds a column says in the export what it has; numbers are the order of the list.
        assert columns == {
            *("handle", "identity", "claim", "verifier", "since", "visibility", "publisher"),
            *("lasting", "lasting_until", "card", "token_hash", "device", "name", "used"),
            *("number", "expires", "prekey_id", "not_after", "prekey"),
        }

    run(story())


def test_a_deleted_account_leaves_nothing_but_a_name_that_nobody_gets(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            await published(client, one_time=1)
            session = client.session
            assert session is not None
            await client.delete("alice", secret())
            await is_refused(on(client, session), AccountReason.SESSION_OVER)
            for handle, who in (("alice", ALICE), ("alice", BOB), ("a1ice", BOB)):
                with pytest.raises(AccountRefused) as caught:
                    await client.sign_up(handle, secret(), who, "laptop")
                assert refused(caught) is AccountReason.TAKEN
            with pytest.raises(AccountRefused) as caught:
                await client.log_in("alice", secret(), "laptop")
            assert refused(caught) is AccountReason.WRONG
            with pytest.raises(AccountRefused) as caught:
                await client.take_bundle("alice", now=NOW)
            assert refused(caught) is AccountReason.NOBODY
        kept = on_disk(tmp_path)
        assert ALICE.public.public_bytes[:32] not in kept
        assert b"laptop" not in kept

    run(story())


def test_the_file_has_neither_tokens_nor_passwords(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            assert client.session is not None
            token = client.session.token
            kept = on_disk(tmp_path)
            assert b"alice" in kept
            assert token not in kept
            assert PASSWORD not in kept

    run(story())


def test_another_relay_at_the_same_address_is_noticed(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path / "one") as one:
            known = one.service.fingerprint
        async with house_at(tmp_path / "two") as two:
            with pytest.raises(RelayChanged, match="expected the relay"):
                await AccountClient.connect(two.url, known)
            async with await AccountClient.connect(two.url) as client:
                assert client.relay == two.service.fingerprint

    run(story())


def test_a_relay_is_the_same_after_a_restart_and_its_accounts_are_there(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            known, session = client.relay, client.session
        assert session is not None
        async with house_at(tmp_path) as house:
            client = on(await AccountClient.connect(house.url, known), session)
            assert len(await client.devices()) == 1
            client.close()

    run(story())


def test_an_offer_serves_for_an_hour(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await house.client(), await house.client():
            first = house.service._offered()
            house.pass_s(3599)
            assert house.service._offered() is first
            house.pass_s(1)
            assert house.service._offered() is not first
            async with await signed_up(house, "alice"):
                pass

    run(story())


@pytest.mark.parametrize("body", [b"\0" * 512, b"\0" * 1120, b"\0" * 16_384])
def test_who_skips_a_step_or_seals_nothing_is_hung_up_on(tmp_path: Path, body: bytes) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await house.client() as client:
            with pytest.raises(RelayUnreachable):
                await client._wire.ask_accounts(body)
            async with await signed_up(house, "alice"):
                pass

    run(story())


def test_what_is_sealed_and_no_request_ends_the_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await house.client() as client:
            with pytest.raises(RelayUnreachable):
                await client._wire.ask_accounts(client._line.outward.seal(b"\xc1"))

    run(story())


def test_who_does_not_wait_for_answers_is_hung_up_on_and_the_others_are_served(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            async with await house.client() as flood:
                record = msgspec.msgpack.encode(requests.Search("al"))
                asked = [
                    asyncio.create_task(flood._wire.ask_accounts(flood._line.outward.seal(record)))
                    for _ in range(500)
                ]
                outcomes = await asyncio.gather(*asked, return_exceptions=True)
                assert isinstance(outcomes[-1], RelayUnreachable)
            assert len(await client.devices()) == 1

    run(story())


def test_who_draws_offers_without_end_is_hung_up_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path, replace(UNLIMITED, lines=Rate(1.0, 6))) as house:
            async with await house.client() as client:
                for _ in range(4):
                    await client._wire.ask_accounts(b"")
                with pytest.raises(RelayUnreachable):
                    await client._wire.ask_accounts(b"")
            house.pass_s(2)
            (await house.client()).close()

    run(story())


def test_one_source_leaves_room_at_the_desk_for_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house:
            desk = AccountDesk(house.service)
            heard: list[bytes | None] = []
            flood = [Visit(bytes(32), "192.0.2.1") for _ in range(20)]
            taken = [desk.ask(each, b"", heard.append) for each in flood for _ in range(10)]
            assert sum(taken) == MAX_OF_SOURCE
            mine = [desk.ask(Visit(bytes(32), "192.0.2.2"), b"", heard.append) for _ in range(2)]
            assert mine == [True, True]
            while len(heard) < MAX_OF_SOURCE + 2:
                await asyncio.sleep(0.001)
            assert desk.ask(flood[0], b"", heard.append)
            while len(heard) < MAX_OF_SOURCE + 3:
                await asyncio.sleep(0.001)
            assert None not in heard
            desk.close()

    run(story())


def test_a_relay_without_accounts_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        store = RelayStore(tmp_path)
        relay = Relay(store)
        host, port = await relay.start("127.0.0.1", 0)
        try:
            with pytest.raises(RelayRefused, match="keeps no accounts"):
                await AccountClient.connect(f"ws://{host}:{port}")
        finally:
            await relay.stop()
            store.close()

    run(story())


def test_when_the_disk_fails_nothing_is_done_and_it_is_said(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            database = house.store._database
            assert isinstance(database, File)
            database._connection.execute("PRAGMA query_only = ON")
            with pytest.raises(AccountRefused) as caught:
                await client.set_visibility(Visibility.LISTED)
            assert refused(caught) is AccountReason.FAILED
            database._connection.execute("PRAGMA query_only = OFF")
            assert json.loads(await client.export())["visibility"] == "exact"

    run(story())


@pytest.mark.parametrize("change", ["PRAGMA user_version = 99", "PRAGMA application_id = 7"])
def test_a_file_of_another_program_or_a_later_version_is_left_alone(
    tmp_path: Path, change: str
) -> None:
    AccountStore(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "accounts.sqlite")
    connection.execute(change)
    connection.close()
    with pytest.raises(StoreCorrupt, match="version 2"):
        AccountStore(tmp_path)


def test_a_handle_is_checked_before_anything_is_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await house.client() as client:
            for asked in (
                client.sign_up("аlice", secret(), ALICE, "laptop"),
                client.log_in("al", secret(), "laptop"),
                client.take_bundle("no body"),
                client.search("a"),
            ):
                with pytest.raises(HandleMalformed):
                    await asked
            with pytest.raises(AccountRefused) as caught:
                await client.ask(requests.Search("a%"), answers.Found)
            assert refused(caught) is AccountReason.MALFORMED

    run(story())
