"""Where a person of this machine keeps a messenger, and how it is opened.

`STATE/chat/NAME` has the sealed store and `person.toml`, without a secret: which key server to ask,
which relay, and what opens the store. The key server is named by a profile, whose address is read
anew at each start.
"""

import asyncio
import contextlib
import json
import re
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.private import own_folder, write_whole
from bellwire.chat.card import MAX_WORD_BYTES, Card, is_relay
from bellwire.chat.errors import ChatMisuse, HomeUnusable
from bellwire.chat.following import Following
from bellwire.chat.messenger.account import Account, relay_account
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.recorded import Record
from bellwire.chat.store.person import Person
from bellwire.crypto.kek.sources import parse_source
from bellwire.etsi014.fresh import FreshClient
from bellwire.etsi014.profile import profile_names, read_profile

MAX_FILE: Final = 1 << 16
_FOLDER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIELDS: Final = frozenset({"name", "profile", "relay", "protection"})


@dataclass(frozen=True, slots=True)
class Home:
    """What `person.toml` says.

    Attributes:
        name: What the person is called by others.
        profile: Of the key server of their site; empty: there is none, and so no pad.
        relay: Address of their relay; empty: that of this machine's services.
        protection: What opens the store, as `crypto.kek.sources` reads it.
    """

    name: str
    profile: str
    relay: str
    protection: str


def chat_folder(state: Path) -> Path:
    """Where the people of a state folder are."""
    return state / "chat"


def people(state: Path) -> list[str]:
    """The people of a state folder, by the names of their folders."""
    return sorted(each.parent.name for each in chat_folder(state).glob("*/person.toml"))


def place_of(state: Path, who: str) -> Path:
    """A person's folder.

    Raises:
        HomeUnusable: it is no name of one.
    """
    if not _FOLDER_NAME.fullmatch(who):
        raise HomeUnusable(
            "expected a person's name of 1 to 64 letters, digits, dots, underscores or hyphens, "
            f"got {who[:80]!r}"
        )
    return chat_folder(state) / who


def find(state: Path, who: str | None) -> str:
    """Who is meant: the one that is named, or the only one that there is.

    Raises:
        HomeUnusable: there is none, or there are several.
    """
    there = people(state)
    if who is None and len(there) == 1:
        return there[0]
    if who in there:
        return who
    said = ", ".join(there) if there else "none"
    raise HomeUnusable(
        f"expected {'one person' if who is None else f'a person {who[:80]!r}'} in "
        f"{chat_folder(state)}, got {said}",
        hint="Choose with --as NAME." if there else _first_steps(state),
    )


def _first_steps(state: Path) -> str:
    """What somebody does who has nothing yet, in its order."""
    make = "`bellwire chat new NAME --site a`, and again: `bellwire chat`"
    if not profile_names(state):
        return f"Nothing is set up here. In this order: `bellwire up --detach`, then {make}."
    return f"Make yourself first: {make}."


def make(state: Path, who: str, home: Home) -> None:
    """Make a person's folder, and their store in it.

    Raises:
        HomeUnusable: they are there already, or a word of `home` cannot be used.
        ProfileUnusable, KekUnusable, StoreUnusable, PathUnusable: as their makers.
    """
    folder = place_of(state, who)
    if (folder / "person.toml").exists():
        raise HomeUnusable(f"expected a new person, got {who!r}, who is in {folder} already")
    if home.relay and not is_relay(home.relay):
        raise HomeUnusable(f"relay: expected ws://HOST:PORT or wss://…, got {home.relay[:80]!r}")
    if not home.name.isprintable() or not 1 <= len(home.name.encode()) <= MAX_WORD_BYTES - 15:
        raise HomeUnusable("name: expected a printable name of 1 to 240 bytes, got another")
    if home.profile:
        read_profile(state, home.profile)
    own_folder(chat_folder(state))
    Person(folder, parse_source(home.protection, folder / "keks")).close()
    words = {each: getattr(home, each) for each in sorted(_FIELDS)}
    text = "".join(f"{name} = {_quoted(value)}\n" for name, value in words.items())
    write_whole(folder / "person.toml", text.encode(), replace=True)


def read(state: Path, who: str) -> Home:
    """What a person's file says.

    Raises:
        HomeUnusable: it is none.
    """
    path = place_of(state, who) / "person.toml"
    try:
        with path.open("rb") as file:
            values = tomllib.loads(file.read(MAX_FILE).decode())
    except (OSError, ValueError, RecursionError) as error:  # tomllib: too many digits, too deep
        raise HomeUnusable(f"expected TOML in {path}, got no file or something else") from error
    if set(values) != _FIELDS or not all(isinstance(each, str) for each in values.values()):
        raise HomeUnusable(f"expected texts named {', '.join(sorted(_FIELDS))} in {path}")
    return Home(**values)


@contextlib.asynccontextmanager
async def opened(
    state: Path,
    who: str,
    relay: str,
    credentials: Path | None = None,
    record: Record | None = None,
) -> AsyncIterator[Messenger]:
    """A person's messenger, at work.

    Args:
        state: The state folder.
        who: Whose.
        relay: Where the person's file names none.
        credentials: Folder of systemd's credentials, if there is one.
        record: A log in which the keys of people whom they know are looked up.

    Raises:
        HomeUnusable, ProfileUnusable, CredentialsUnusable, KekRefused, StoreUnusable, StoreCorrupt:
            it cannot be opened.
    """
    home = read(state, who)
    address = _relay(home, relay)
    async with contextlib.AsyncExitStack() as stack:
        site = None
        if home.profile:
            profile = read_profile(state, home.profile)
            client = FreshClient(profile.kme, profile.credentials)
            site = Site(await stack.enter_async_context(client), profile.sae)
        person = await asyncio.to_thread(_store, state, who, home, credentials)
        stack.push_async_callback(asyncio.to_thread, person.close)
        setup = Setup(home.name, address, site, record)
        yield await stack.enter_async_context(Messenger(person, setup))


@contextlib.contextmanager
def store_of(
    state: Path, who: str, relay: str, credentials: Path | None = None
) -> Iterator[tuple[Person, str]]:
    """A person's store, and the address of their relay, with nothing at work; as `opened`."""
    home = read(state, who)
    address = _relay(home, relay)
    with _store(state, who, home, credentials) as person:
        yield person, address


@contextlib.contextmanager
def person_of(state: Path, who: str, credentials: Path | None = None) -> Iterator[Person]:
    """A person's store alone, for what needs no relay; as `opened`."""
    with _store(state, who, read(state, who), credentials) as person:
        yield person


@contextlib.asynccontextmanager
async def opened_account(
    state: Path, who: str, relay: str, credentials: Path | None = None
) -> AsyncIterator[Account]:
    """A person's account, without a messenger at work: as `opened`."""
    home = read(state, who)
    address = _relay(home, relay)
    sae = read_profile(state, home.profile).sae if home.profile else ""
    person = await asyncio.to_thread(_store, state, who, home, credentials)

    following = Following(person, time.time)
    await asyncio.to_thread(following.known, address)

    async def nobody_listens() -> None:
        """A messenger finds the box in the store when it starts."""

    account = Account(
        person,
        address,
        relay_account(person),
        card=lambda right: Card(right, address, sae, home.name, *following.told(address)),
        reroute=nobody_listens,
        tell=lambda _: None,
    )
    try:
        yield account
    finally:
        account.close()
        await asyncio.to_thread(person.close)


def _relay(home: Home, otherwise: str) -> str:
    address = home.relay or otherwise
    if not is_relay(address):
        raise ChatMisuse(f"expected the address of a relay, got {address[:80]!r}")
    return address


def _store(state: Path, who: str, home: Home, credentials: Path | None) -> Person:
    folder = place_of(state, who)
    return Person(folder, parse_source(home.protection, folder / "keks", credentials))


def _quoted(text: str) -> str:
    # JSON's strings are TOML's basic strings, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
