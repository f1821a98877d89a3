"""Somebody with the library of the terminal's client, for the journey of a page that talks to him.

A line of JSON in, a line of JSON out; it waits for what it is asked for. Its key server is that of
site b, of the state folder that is its parameter.
"""

import asyncio
import contextlib
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.chat.messenger.pairs import until
from tests.chat.store.people import open_person

from bellwire.base.secret import Secret
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.errors import AccountRefused
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.views import AttachmentState, Line
from bellwire.chat.transfer.code import read_code, spelt
from bellwire.chat.transfer.giving import give
from bellwire.chat.transfer.taking import take
from bellwire.etsi014.fresh import FreshClient
from bellwire.etsi014.profile import read_profile

PASSWORD = Secret(b"words that nobody else would draw")

MANY = 2**16
"""How often the bytes stand in a file that they are asked for."""


class Correspondent:
    """One person, once they know a relay.

    Args:
        messenger: Theirs.
        folder: For files.
    """

    def __init__(self, messenger: Messenger, folder: Path) -> None:
        self._messenger = messenger
        self._folder = folder

    async def answer(self, asked: dict[str, str]) -> dict[str, str]:
        """What is so, or has been done."""
        match asked["do"]:
            case "invite":
                return {"link": await self._messenger.invite()}
            case "add":
                await self._messenger.add(asked["link"])
            case "sign up":
                await self._messenger.account.sign_up(asked["handle"], PASSWORD, "a terminal")
                await self._messenger.account.set_visibility(Visibility.LISTED)
            case "find":
                try:
                    found = await self._messenger.account.look_up(asked["handle"])
                except AccountRefused as error:
                    return {"refused": AccountReason(error.reason).name.lower()}
                await self._messenger.add(found.link())
            case "accept":
                waits = await until(lambda: self._asks(asked["text"]))
                await self._messenger.requests.accept(waits)
            case "say":
                await self._messenger.send(await self._place(asked), asked["text"])
            case "hears":
                place = await self._place(asked)
                return {"pads": await until(lambda: self._heard(place, asked["text"]))}
            case "state":
                place = await self._place(asked)
                await until(lambda: self._is(place, asked["text"], asked["state"]))
            case "out":
                await until(lambda: self._group(asked["group"], is_in=False))
            case "attach":
                file = self._folder / asked["name"]
                await asyncio.to_thread(file.write_bytes, bytes.fromhex(asked["line"]) * MANY)
                await self._messenger.attach(await self._place(asked), file)
            case "file":
                place = await self._place(asked)
                line = await until(lambda: self._whole(place, asked["name"]))
                saved = await self._messenger.save(line.contact, line.message_id, self._folder)
                data = await asyncio.to_thread(saved.read_bytes)
                return {"size": str(len(data)), "sha256": hashlib.sha256(data).hexdigest()}
            case "carry":
                return await asyncio.to_thread(self._carry, Path(asked["file"]), asked["code"])
            case "renew":
                await self._messenger.renew_session(await self._peer())
            case "safety":
                return {"number": (await self._messenger.safety(await self._peer())).number}
        return {}

    def _carry(self, file: Path, code: str) -> dict[str, str]:
        """A terminal of the page's owner takes a file of history, and makes one of its own."""
        with contextlib.closing(open_person(self._folder / "another")) as person:
            taken = take(person, file, read_code(code), time.time())
            entries = person.entries()
            onward = self._folder / "onward.history"
            given = give(person, onward, time.time())
        padded = [each for each in entries if each.protection.is_one_time]
        return {
            "people": str(taken.people),
            "messages": str(taken.messages),
            "texts": "\n".join(each.text for each in entries),
            "padded": str(len(padded)),
            "file": str(onward),
            "code": spelt(given.code),
        }

    async def _asks(self, text: str) -> bytes | None:
        """Whoever waits to be accepted, once they have said this."""
        for each in await self._messenger.requests.waiting():
            if any(line.text == text for line in each.lines):
                return each.contact
        return None

    async def _place(self, asked: dict[str, str]) -> bytes:
        """The group that is named, once we are in it, or the one contact."""
        if "group" not in asked:
            return await self._peer()
        return await until(lambda: self._group(asked["group"], is_in=True))

    async def _group(self, name: str, *, is_in: bool) -> bytes | None:
        found = [each for each in await self._messenger.contacts() if each.is_group]
        named = (each.contact for each in found if each.name == name and each.is_in is is_in)
        return next(named, None)

    async def _peer(self) -> bytes:
        async def known() -> bytes | None:
            found = [
                each
                for each in await self._messenger.contacts()
                if not each.is_notes and not each.is_group
            ]
            return found[0].contact if found else None

        return await until(known)

    async def _heard(self, place: bytes, text: str) -> str | None:
        """Whether it was under pad, once it is here."""
        for each in await self._messenger.history(place):
            if each.text == text and not each.ours:
                return "pad" if each.protection.is_one_time else "no pad"
        return None

    async def _whole(self, place: bytes, name: str) -> Line | None:
        """A file of theirs, once all of it is here."""
        for each in await self._messenger.history(place):
            file = each.attachment
            if file is not None and file.name == name and file.state is AttachmentState.HERE:
                return each
        return None

    async def _is(self, place: bytes, text: str, state: str) -> bool:
        lines = await self._messenger.history(place)
        return any(each.text == text and each.ours and each.state.value == state for each in lines)


async def main() -> None:
    """Answer until there are no more questions."""
    first = json.loads(await asyncio.to_thread(sys.stdin.readline))
    profile = read_profile(Path(sys.argv[1]), "app-b")
    async with contextlib.AsyncExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="bellwire-pen-"))
        person = open_person(Path(place) / "person")
        stack.callback(person.close)
        server = await stack.enter_async_context(FreshClient(profile.kme, profile.credentials))
        setup = Setup("Pen", first["relay"], Site(server, profile.sae))
        messenger = await stack.enter_async_context(Messenger(person, setup))
        correspondent = Correspondent(messenger, Path(place))
        tell({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            tell(await correspondent.answer(json.loads(line)))


def tell(answer: dict[str, str]) -> None:
    """A line for who asked."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
