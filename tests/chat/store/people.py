"""Two people with stores in folders of their own, and whatever carries their payloads."""

import random
import shutil
from contextlib import ExitStack
from pathlib import Path

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.messenger.shown import conversation
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import Bundle
from bellwire.chat.store import renewing
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.person import Person
from bellwire.chat.store.receiving import Received
from bellwire.crypto.kek.key_file import KeyFiles

NOW = 1_800_000_000.0


def open_person(folder: Path) -> Person:
    return Person(folder, KeyFiles(folder / "keks"))


def keep_pad(
    person: Person, contact: bytes, pad_id: bytes, pad: Secret, source: str, *, ours: bool
) -> None:
    """Have somebody hold a pad of a conversation; `ours`: they send under it."""
    with person.working() as work:
        work.shelf(contact).add(pad_id, pad, source, ours=ours)


def know(person: Person, name: str, identity: IdentityPublic) -> Contact:
    """Have somebody as a contact, or by another name."""
    with person.contacts() as contacts:
        return contacts.keep(name, identity)


def begin(person: Person, bundle: Bundle) -> None:
    """Have somebody begin a session with a contact, who may be away."""
    with person.working() as work:
        renewing.meet(work, person.identity, bundle)


class Two:
    """Alice, who has begun a session with Bob, and Bob; `close` them."""

    def __init__(self, folder: Path, *, pad: int = 0, begin: bool = True) -> None:
        self.folders = {"alice": folder / "alice", "bob": folder / "bob"}
        self.people = {name: open_person(place) for name, place in self.folders.items()}
        self.ids = {name: each.identity.public.fingerprint for name, each in self.people.items()}
        know(self.alice, "Bob", self.bob.identity.public)
        know(self.bob, "Alice", self.alice.identity.public)
        self.pads: dict[str, bytes] = {}
        self.shared = 0
        if begin:
            self.begin("alice")
        if pad:
            self.share_pad("alice", pad)
            self.share_pad("bob", pad)

    @property
    def alice(self) -> Person:
        return self.people["alice"]

    @property
    def bob(self) -> Person:
        return self.people["bob"]

    def other(self, name: str) -> str:
        return "bob" if name == "alice" else "alice"

    def begin(self, name: str) -> None:
        with self.people[self.other(name)].prekeys() as ring:
            ring.renew(2, NOW)
            bundle = ring.bundle(NOW)
        begin(self.people[name], bundle)

    def share_pad(self, sender: str, length: int) -> bytes:
        """A pad under which `sender` sends; its id."""
        self.shared += 1
        drawn = random.Random(self.shared)
        pad_id, pad = drawn.randbytes(16), drawn.randbytes(length)
        self.pads[sender] = pad
        for name in self.people:
            contact = self.ids[self.other(name)]
            ours = name == sender
            keep_pad(self.people[name], contact, pad_id, Secret(pad), "simulated", ours=ours)
        return pad_id

    def pad_left(self, name: str) -> int:
        """Bytes under which somebody can still send, as their list of conversations says."""
        me, contact = self.ids[name], self.ids[self.other(name)]
        with self.people[name].working() as work:
            return conversation(work, work.contacts.get(contact), me, False).pad_bytes

    def say(self, sender: str, text: str, **more: object) -> bytes:
        """Keep words in the outbox; their id."""
        return self.send(sender, ContentKind.TEXT, text.encode(), **more)

    def send(self, sender: str, kind: ContentKind, text: bytes = b"", **more: object) -> bytes:
        content_id = random.randbytes(16)
        content = Content(kind, content_id, int(NOW * 1000), text, **more)  # type: ignore[arg-type]
        self.people[sender].send(self.ids[self.other(sender)], content)
        return content_id

    def carry(self, sender: str) -> list[Received]:
        """Hand everything over that `sender` has for the other."""
        came = []
        for each in self.people[sender].outbox():
            receiver = self.people[self.other(sender)]
            came.append(receiver.receive(each.payload, NOW, self.ids[sender]))
            self.people[sender].handed_over(each.number)
        return came

    def settle(self) -> None:
        """Carry until nobody has anything to say."""
        while any(person.outbox() for person in self.people.values()):
            self.carry("alice")
            self.carry("bob")

    def texts(self, name: str, *, ours: bool = False) -> list[str]:
        return [each.text for each in self.people[name].entries() if each.ours is ours]

    def restart(self, name: str) -> None:
        self.people[name].close()
        self.people[name] = open_person(self.folders[name])

    def crash(self, name: str) -> None:
        """Go on from what is on the disk now, as after a power cut."""
        snapshot = self.folders[name].with_name(f"{name} after a crash {random.random()}")
        shutil.copytree(self.folders[name], snapshot)
        self.people[name].close()
        self.folders[name] = snapshot
        self.people[name] = open_person(snapshot)

    def require(self, name: str) -> None:
        with self.people[name].contacts() as contacts:
            contacts.set_policy(self.ids[self.other(name)], Policy.REQUIRE)

    def close(self) -> None:
        with ExitStack() as stack:
            for each in self.people.values():
                stack.callback(each.close)
