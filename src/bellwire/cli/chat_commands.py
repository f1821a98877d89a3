"""The commands of the line mode: `/help` and its like."""

from typing import TYPE_CHECKING, Final

from bellwire.base.errors import UsageError
from bellwire.cli import chat_groups, chat_session
from bellwire.cli.chat_files import path_of, to_save
from bellwire.cli.chat_place import Lab
from bellwire.cli.chat_requests import ACTS
from bellwire.cli.chat_table import COMMANDS, help_rows
from bellwire.cli.chat_words import (
    conversation_words,
    file_document,
    file_words,
    line_words,
    note_words,
    record_words,
    session_lines,
    status_words,
)

if TYPE_CHECKING:
    from bellwire.chat.messenger.views import Line
    from bellwire.cli.chat_plain import Plain
    from bellwire.node.settings import Settings

_NAMES: Final = frozenset(each.name for each in COMMANDS if each.lines is not None)


class Leave(Exception):
    """`/quit`."""


class Commands:
    """Runs commands for one line mode.

    Args:
        plain: The line mode.
        lab: The lab of this machine.
        site: At whose node Eve overhears.
    """

    def __init__(self, plain: "Plain", lab: Lab, site: str) -> None:
        self._plain = plain
        self._lab = lab
        self._site = site
        self._heard = 0

    @staticmethod
    def of(plain: "Plain", settings: "Settings", who: str) -> "Commands":
        """Those of a person of this machine."""
        from bellwire.chat.messenger.home import read

        state = settings.state.dir
        site = "b" if read(state, who).profile.endswith("-b") else "a"
        return Commands(plain, Lab(state), site)

    async def run(self, text: str) -> None:
        """Do what a line says that begins with a slash.

        Raises:
            UsageError: there is no such command, or it cannot be done so.
            Leave: `/quit`.
            BellwireError: it could not be done.
        """
        word, _, rest = text[1:].strip().partition(" ")
        if word not in _NAMES:
            raise UsageError(
                f"expected a command, got /{note_words(word[:40])}", hint="/help lists them."
            )
        act = ACTS.get(word)
        if act is None:
            await getattr(self, f"_{word}")(rest.strip())
        else:
            self._plain.answer(await act(self._plain.messenger, rest.strip()))

    async def _help(self, _: str) -> None:
        for row in help_rows(window=False):
            self._plain.answer(row)

    async def _quit(self, _: str) -> None:
        raise Leave

    async def _status(self, _: str) -> None:
        status = self._plain.messenger.link
        self._plain.answer(
            status_words(status),
            sending=status.sending,
            receiving=status.receiving,
            keys=status.keys,
            source=status.source,
        )
        await self._contacts("")

    async def _contacts(self, _: str) -> None:
        for each in await self._plain.conversations():
            self._plain.answer(
                conversation_words(each),
                name=each.name,
                contact=each.contact.hex(),
                unread=each.unread,
                pad_bytes=each.pad_bytes,
                mode=each.mode.value,
                policy=each.policy.value,
                verified=each.verified,
                reachable=each.reachable,
                members=each.members,
            )

    async def _to(self, name: str) -> None:
        self._plain.to = await self._plain.choose(name or None)
        known = await self._plain.messenger.conversation(self._plain.to)
        self._plain.answer(f"to {note_words(known.name)}", name=known.name)

    async def _add(self, given: str) -> None:
        from bellwire.cli.chat import link_of

        added = await self._plain.messenger.add(link_of(given) or "")
        self._plain.to = added.contact
        self._plain.answer(f"{note_words(added.name)} is a contact now", name=added.name)

    async def _link(self, _: str) -> None:
        link = await self._plain.messenger.invite()
        self._plain.answer(link, link=link)

    async def _rename(self, name: str) -> None:
        await self._plain.messenger.rename(await self._plain.partner(), name)
        self._plain.answer(f"they are {note_words(name)} now", name=name)

    async def _group(self, rest: str) -> None:
        # A new one needs no conversation to be chosen.
        to = b"" if rest.split(" ", 1)[0] == "new" else await self._plain.partner()
        done = await chat_groups.run(self._plain.messenger, to, rest)
        if done.opened is not None:
            self._plain.to = done.opened
        self._plain.answer(done.words, **done.told)

    async def _verify(self, said: str) -> None:
        contact = chat_groups.one_person(await self._plain.partner())
        messenger = self._plain.messenger
        if said in {"yes", "no"}:
            await messenger.set_verified(contact, verified=said == "yes")
            self._plain.answer("verified" if said == "yes" else "not verified")
            return
        if said:
            raise UsageError("expected /verify, /verify yes or /verify no")
        number = (await messenger.safety(contact)).number
        self._plain.answer(number, safety_number=number)

    async def _session(self, which: str) -> None:
        if which == "renew":
            partner = await self._plain.partner()
            self._plain.answer(await chat_session.renew(self._plain.messenger, partner))
            return
        line = await self._pick(which or "1")
        records = await self._plain.messenger.session(line.contact, line.message_id)
        if not records and line.state.value == "waiting":
            self._plain.answer("no session yet: that message waits for it", sessions=[])
            return
        if not records:
            said = "was under pad from stock" if line.protection.is_one_time else "had no pad"
            self._plain.answer(f"no session: that message {said}", sessions=[])
            return
        words = "\n".join(each for record in records for each in session_lines(record))
        self._plain.answer(words, sessions=[record_words(each) for each in records])

    async def _search(self, words: str) -> None:
        if not words:
            raise UsageError("expected /search WORDS")
        for line in await self._plain.messenger.search(words):
            await self._tell(line)

    async def _history(self, count: str) -> None:
        word, _, file = count.partition(" ")
        if word == "export":
            await self._export(file.strip())
            return
        limit = _number(count or "20", 10_000)
        for line in await self._plain.messenger.history(await self._plain.partner(), limit=limit):
            await self._tell(line)

    async def _export(self, file: str) -> None:
        from bellwire.cli.chat_history import CodePlace, given_words

        path = path_of(file)
        with CodePlace() as place:
            given = await self._plain.messenger.export_history(path)
            place.show(given, path)
        self._plain.answer(
            "\n".join(given_words(given)), messages=given.messages, people=given.people
        )

    async def _tell(self, line: "Line") -> None:
        known = await self._plain.messenger.conversation(line.contact)
        records = await self._plain.messenger.session(line.contact, line.message_id)
        self._plain.answer(
            line_words(line, known.name, records),
            id=line.message_id.hex(),
            name=known.name,
            ours=line.ours,
            text=line.text,
            state=line.state.value,
            **file_document(line),
        )

    async def _reply(self, rest: str) -> None:
        which, _, text = rest.partition(" ")
        line = await self._pick(which)
        await self._plain.messenger.reply(line.contact, line.message_id, text)

    async def _attach(self, path: str) -> None:
        if not path:
            raise UsageError("expected /attach PATH")
        line = await self._plain.messenger.attach(await self._plain.partner(), path_of(path))
        self._plain.sent(line)
        self._plain.answer(f"attached {file_words(line)}", **file_document(line))

    async def _save(self, rest: str) -> None:
        messenger = self._plain.messenger
        line, place = await to_save(messenger, await self._plain.partner(), rest)
        saved = await messenger.save(line.contact, line.message_id, place)
        self._plain.answer(f"saved {note_words(str(saved))}", saved=str(saved))

    async def _edit(self, rest: str) -> None:
        which, _, text = rest.partition(" ")
        line = await self._pick(which)
        await self._plain.messenger.edit(line.contact, line.message_id, text)

    async def _delete(self, which: str) -> None:
        line = await self._pick(which)
        await self._plain.messenger.delete(line.contact, line.message_id)

    async def _resend(self, which: str) -> None:
        line = await self._pick(which or "1")
        await self._plain.messenger.resend(line.contact, line.message_id)

    async def _mode(self, word: str) -> None:
        from bellwire.chat.messenger.views import Mode

        if word not in {each.value for each in Mode}:
            raise UsageError("expected /mode pool or /mode fresh")
        contact = chat_groups.one_person(await self._plain.partner())
        await self._plain.messenger.set_mode(contact, Mode(word))
        self._plain.answer(f"mode {word}")

    async def _policy(self, word: str) -> None:
        from bellwire.chat.pads import Policy

        if word not in {each.value for each in Policy}:
            raise UsageError("expected /policy require, /policy prefer or /policy off")
        contact = chat_groups.one_person(await self._plain.partner())
        await self._plain.messenger.set_policy(contact, Policy(word))
        self._plain.answer(f"policy {word}")

    async def _timer(self, word: str) -> None:
        seconds = _number(word, 365 * 86_400, least=0)
        await self._plain.messenger.set_timer(await self._plain.partner(), seconds)
        self._plain.answer(f"messages disappear after {seconds} s" if seconds else "messages stay")

    async def _eve(self, rest: str) -> None:
        word, _, attack = rest.partition(" ")
        if word == "active":
            kind, _, share = (attack or "intercept-resend").partition(":")
            self._plain.answer(await self._lab.eve(kind, _share(share)))
        elif word == "off":
            self._plain.answer(await self._lab.eve(None, 1.0))
        elif word in {"", "passive"}:
            for each in await self._lab.overheard(self._site, self._heard):
                self._heard = each.number
                self._plain.answer(
                    f"{each.session[:8]} {each.sender} step {each.step} {each.phase}: "
                    f"{each.size} bytes {each.beginning[:16].hex()}",
                    session=each.session,
                    phase=each.phase,
                    size=each.size,
                    beginning=each.beginning.hex(),
                )
        else:
            raise UsageError("expected /eve off, /eve passive or /eve active KIND:SHARE")

    async def _pick(self, which: str) -> "Line":
        """The N-th newest message of the conversation."""
        number = _number(which, 10_000)
        lines = await self._plain.messenger.history(await self._plain.partner(), limit=number)
        if len(lines) < number:
            raise UsageError(f"expected the number of a message from 1 to {len(lines)}")
        return lines[0]


def _number(text: str, most: int, *, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
        raise UsageError(f"expected a number from {least} to {most}, got {note_words(text[:20])!r}")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text or 1.0)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise UsageError(f"Eve's share: expected 0 to 1, got {note_words(text[:20])!r}")
    return share
