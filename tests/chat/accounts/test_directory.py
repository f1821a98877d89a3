import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chat.accounts.people import (
    ALICE,
    BOB,
    DAY,
    NOW,
    UNLIMITED,
    House,
    card,
    house_at,
    published,
    secret,
    signed_up,
)
from tests.chat.relay.running import run
from tests.chat.store.people import open_person

from bellwire.chat.accounts.client import AccountClient
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.accounts.limits import Rate
from bellwire.chat.accounts.somebody import Somebody
from bellwire.chat.accounts.stock import ONE_TIME, replenish
from bellwire.chat.errors import AccountRefused, BundleRefused, IdentityChanged
from bellwire.chat.prekeys import PrekeyKind, make_prekey


async def reason(asked: Awaitable[object]) -> AccountReason:
    with pytest.raises(AccountRefused) as caught:
        await asked
    return AccountReason(caught.value.reason)


async def take(house: House, handle: str = "alice", known: bytes | None = None) -> Somebody:
    """By somebody who does not say who they are."""
    async with await house.client() as stranger:
        return await stranger.take_bundle(handle, known, now=house.now)


def test_each_one_time_prekey_is_handed_out_once_and_then_the_last_resort(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            lasting, *one_time = await published(client, one_time=5)
            taken = await asyncio.gather(*(take(house, "@Alice") for _ in range(5)))
            assert {each.bundle.one_time for each in taken} == set(one_time)
            last = await take(house)
            assert last.is_last_resort
            assert {each.bundle.lasting for each in (*taken, last)} == {lasting}
            assert {each.card for each in (*taken, last)} == {card()}
            assert last.bundle.identity == ALICE.public

    run(story())


def test_what_was_handed_out_is_not_handed_out_again_if_it_is_published_again(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            made = await published(client, one_time=1)
            assert (await take(house)).bundle.one_time == made[1]
            stock = await client.publish_prekeys(made[1:])
            assert stock.one_time == 0
            assert (await take(house)).is_last_resort

    run(story())


def test_what_was_handed_out_stays_so_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            made = await published(client, one_time=2)
            first = await take(house)
        async with house_at(tmp_path) as house:
            second, third = await take(house), await take(house)
        assert {first.bundle.one_time, second.bundle.one_time} == set(made[1:])
        assert third.is_last_resort

    run(story())


def test_nobody_can_use_up_all_one_time_prekeys_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        limits = replace(UNLIMITED, one_time=Rate(1 / 60, 2))
        async with house_at(tmp_path, limits) as house, await signed_up(house, "alice") as client:
            await published(client, one_time=5)
            taken = [(await take(house)).is_last_resort for _ in range(4)]
            assert taken == [False, False, True, True]
            house.pass_s(60)
            assert not (await take(house)).is_last_resort
            assert (await client.stock()).one_time == 2

    run(story())


def test_who_takes_or_searches_too_much_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        limits = replace(UNLIMITED, takes=Rate(0.5, 1), searches=Rate(0.5, 1))
        async with house_at(tmp_path, limits) as house, await house.client() as client:
            assert await reason(client.take_bundle("nobody")) is AccountReason.NOBODY
            assert await reason(client.take_bundle("nobody")) is AccountReason.TOO_FAST
            assert await client.search("no") == []
            assert await reason(client.search("no")) is AccountReason.TOO_FAST

    run(story())


def test_a_prekey_or_card_that_its_owner_did_not_sign_is_not_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            lasting, once = await published(client, one_time=1)
            forged = [make_prekey(BOB, kind, NOW + DAY).prekey for kind in PrekeyKind]
            bent = replace(lasting, not_after=lasting.not_after + 1)
            for asked in (
                client.publish_prekeys([forged[1]]),
                client.publish_prekeys([lasting]),  # of the other kind
                client.publish_prekeys([replace(once, prekey_id=b"x" * 16)]),
                client.publish_card("alice", card(2), ALICE, forged[0]),
                client.publish_card("alice", card(2), ALICE, bent),
                client.publish_card("alice", card(2), BOB, lasting),
                client.publish_card("other", card(2), ALICE, lasting),
            ):
                assert await reason(asked) is AccountReason.UNSIGNED
            taken = await take(house)
            assert (taken.bundle.lasting, taken.card) == (lasting, card())

    run(story())


@pytest.mark.parametrize("not_after", [NOW - 1, NOW, NOW + 91 * DAY])
def test_a_prekey_of_a_wrong_clock_is_refused_with_a_word_about_clocks(
    tmp_path: Path, not_after: int
) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            prekey = make_prekey(ALICE, PrekeyKind.LASTING, not_after).prekey
            with pytest.raises(AccountRefused) as caught:
                await client.publish_card("alice", card(), ALICE, prekey)
            assert caught.value.reason == AccountReason.EXPIRED
            assert "clock" in str(caught.value.hint)

    run(story())


def test_nobody_publishes_more_than_a_hundred_one_time_prekeys(tmp_path: Path) -> None:
    async def story() -> None:
        limits = replace(UNLIMITED, one_time_prekeys=4)
        async with house_at(tmp_path, limits) as house, await signed_up(house, "alice") as client:
            await published(client, one_time=3)
            more = [make_prekey(ALICE, PrekeyKind.ONE_TIME, NOW + DAY).prekey for _ in range(2)]
            assert await reason(client.publish_prekeys(more)) is AccountReason.FULL
            assert (await client.publish_prekeys(more[:1])).one_time == 4

    run(story())


def test_what_is_handed_out_is_of_the_device_that_published_last(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as laptop:
            await published(laptop, one_time=3)
            async with await house.client() as phone:
                session = await phone.log_in("alice", secret(), "phone")
                stock = await phone.stock()
                assert (stock.ours, stock.one_time) == (False, 3)
                once = make_prekey(ALICE, PrekeyKind.ONE_TIME, NOW + DAY).prekey
                assert await reason(phone.publish_prekeys([once])) is AccountReason.MALFORMED
                made = await published(phone, one_time=1, number=2)
                assert not (await laptop.stock()).ours
                taken = await take(house)
                assert (taken.bundle.lasting, taken.bundle.one_time) == tuple(made)
                assert taken.card == card(2)
                assert (await take(house)).is_last_resort
            await laptop.log_out(session.device)
            with pytest.raises(AccountRefused):
                await take(house)

    run(story())


def test_who_is_hidden_or_gone_or_never_was_is_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            assert await reason(take(house)) is AccountReason.NOBODY  # nothing was published
            await published(client)
            await client.set_visibility(Visibility.HIDDEN)
            assert await reason(take(house)) is AccountReason.NOBODY
            await client.set_visibility(Visibility.EXACT)
            await take(house)
            house.pass_s(29 * DAY)
            await client.devices()
            await take(house)
            house.pass_s(DAY)
            assert await reason(take(house)) is AccountReason.NOBODY  # its prekey has expired
            assert await reason(take(house, "nobody")) is AccountReason.NOBODY

    run(story())


def test_search_finds_those_who_want_to_be_found_ten_at_a_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house:
            names = [f"anna-{letter}" for letter in "abcdefghjklm"]
            for name in ["anne", "bert", *names]:
                async with await signed_up(house, name) as client:
                    if name != "anne":
                        await client.set_visibility(Visibility.LISTED)
            async with await house.client() as stranger:
                assert await stranger.search("@An") == names[:10]
                assert await stranger.search("anna-m") == ["anna-m"]
                assert await stranger.search("anne") == []
                assert await stranger.search("be") == ["bert"]
                assert await stranger.search("zz") == []

    run(story())


def test_a_handle_that_names_another_identity_than_before_is_an_alarm(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            await published(client)
            await take(house, known=ALICE.public.fingerprint)
            with pytest.raises(IdentityChanged, match="expected alice to be") as caught:
                await take(house, known=BOB.public.fingerprint)
            assert caught.value.found == ALICE.public.fingerprint
            assert "impostor" in str(caught.value.hint)

    run(story())


def test_a_relay_cannot_give_a_handle_an_identity_that_did_not_claim_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house:
            async with await signed_up(house, "alice") as alice:
                await published(alice)
            async with await signed_up(house, "mallory", BOB) as mallory:
                await published(mallory, BOB, handle="mallory")
            with house.store.transaction() as ledger:
                ledger._cursor.execute(
                    "UPDATE accounts SET (identity, card, claim, lasting) ="
                    " (SELECT identity, card, claim, lasting FROM accounts WHERE handle = 'alice')"
                    " WHERE handle = 'mallory'"
                )
            with pytest.raises(BundleRefused, match="both signatures"):
                await take(house, "mallory")

    run(story())


def test_a_relay_can_swap_neither_prekeys_nor_cards(tmp_path: Path) -> None:
    async def story() -> None:
        async with house_at(tmp_path) as house, await signed_up(house, "alice") as client:
            made = await published(client)
            forged = make_prekey(BOB, PrekeyKind.LASTING, NOW + DAY).prekey
            with house.store.transaction() as ledger:
                ledger.set_lasting("alice", forged.encode(), forged.not_after)
            with pytest.raises(BundleRefused):
                await take(house)
            with house.store.transaction() as ledger:
                ledger.set_lasting("alice", made[0].encode(), made[0].not_after)
                ledger.set_card("alice", card(2).encode(), b"s" * 3373)
            with pytest.raises(BundleRefused):
                await take(house)

    run(story())


def test_a_person_keeps_a_hundred_prekeys_there_and_renews_them(tmp_path: Path) -> None:
    async def story(house: House, client: AccountClient) -> None:
        with open_person(tmp_path / "alice") as person:
            await client.sign_up("alice", secret(), person.identity, "laptop")
            stock = await replenish(client, person, "alice", card(), house.now)
            assert (stock.ours, stock.one_time) == (True, ONE_TIME)
            first, second = await take(house), await take(house)
            assert first.bundle.one_time != second.bundle.one_time
            stock = await replenish(client, person, "alice", card(2), house.now)
            assert stock.one_time == ONE_TIME
            house.pass_s(16 * DAY)
            await replenish(client, person, "alice", card(2), house.now)
            later = await take(house)
            assert later.card == card(2)
            assert later.bundle.lasting.not_after > first.bundle.lasting.not_after

    async def whole() -> None:
        async with house_at(tmp_path / "relay") as house, await house.client() as client:
            await story(house, client)

    run(whole())
