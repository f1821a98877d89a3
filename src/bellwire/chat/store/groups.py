"""Groups in a person's store: their rosters, who has left, and what waits for a roster or a member.

What came for a group before its roster waits here, bounded, with what it was protected by: it was
opened, its pad has served, and it is not shown until the roster says that its author is a member.
What we say to a member to whom there is no way yet waits here, too, in order.

`now` is in seconds since the epoch.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

import msgspec

from bellwire.chat.content import Content, decode
from bellwire.chat.errors import GroupRefused
from bellwire.chat.roster import Roster, read_roster
from bellwire.chat.session import Protection
from bellwire.chat.store.database import Database

MAX_GROUPS: Final = 256
MAX_HELD: Final = 32
"""Contents of one contact that wait for a roster."""

HELD_S: Final = 14 * 86_400
"""How long they wait."""

MAX_UNSENT: Final = 1024
"""Contents that wait for one member to whom there is no way yet."""

ASK_EVERY_S: Final = 60
"""How often the rosters of a group are asked for that we lack."""

_ROSTERS: Final = "rosters"
_HELD: Final = "group_held"
_UNSENT: Final = "group_unsent"


@dataclass(frozen=True, slots=True)
class Group:
    """A group as we know it.

    Attributes:
        roster: The newest.
        left: Members of it who have said that they left, and by which roster's number.
        timer_s: After how many seconds messages of ours disappear; 0: they stay.
    """

    roster: Roster
    left: dict[bytes, int]
    timer_s: int

    @property
    def group(self) -> bytes:
        """Its id."""
        return self.roster.group

    def has(self, contact: bytes) -> bool:
        """Whether somebody is in it now."""
        since = self.roster.since(contact)
        return since is not None and since > self.left.get(contact, -1)

    def active(self) -> list[bytes]:
        """Who is in it now."""
        return [each.contact for each in self.roster.members if self.has(each.contact)]


@dataclass(frozen=True, slots=True)
class HeldContent:
    """What came too early, and what protected it."""

    number: int
    contact: bytes
    content: Content
    protection: Protection


class Groups:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    # Rosters

    def get(self, group: bytes) -> Group | None:
        """A group; None if nobody has taken us into it."""
        row = self._cursor.execute(
            "SELECT number, timer_s FROM groups WHERE group_id = ?", (group,)
        ).fetchone()
        if row is None:
            return None
        roster = self.roster(group, row[0])
        assert roster is not None  # they are written together
        left = self._cursor.execute(
            "SELECT member, number FROM group_left WHERE group_id = ?", (group,)
        ).fetchall()
        return Group(roster, dict(left), row[1])

    def all(self) -> list[Group]:
        """Those that we know, also where we are in it no more."""
        rows = self._cursor.execute("SELECT group_id FROM groups").fetchall()
        found = [self.get(group) for (group,) in rows]
        return [each for each in found if each is not None]

    def roster(self, group: bytes, number: int) -> Roster | None:
        """A roster by its number, if we have it."""
        row = self._cursor.execute(
            "SELECT sealed FROM rosters WHERE group_id = ? AND number = ?", (group, number)
        ).fetchone()
        if row is None:
            return None
        return read_roster(self._database.open(_ROSTERS, _row(group, number), row[0]).reveal())

    def keep(self, roster: Roster) -> None:
        """The newest roster, which was verified.

        Raises:
            GroupRefused: we are in too many groups.
        """
        self._cursor.execute(
            "INSERT INTO groups VALUES (?1, ?2, 0, 0) ON CONFLICT (group_id)"
            " DO UPDATE SET number = ?2",
            (roster.group, roster.number),
        )
        (count,) = self._cursor.execute("SELECT count(*) FROM groups").fetchone()
        if count > MAX_GROUPS:
            raise GroupRefused(f"expected at most {MAX_GROUPS} groups, got one more")
        row = _row(roster.group, roster.number)
        sealed = self._database.seal(_ROSTERS, row, roster.encode())
        self._cursor.execute(
            "INSERT INTO rosters VALUES (?, ?, ?)", (roster.group, roster.number, sealed)
        )

    def may_ask(self, group: bytes, contact: bytes, now: float) -> bool:
        """Whether it is time to ask somebody for rosters that we lack; it counts as done."""
        if self.get(group) is None:  # what waits from them has asked when it came
            (latest,) = self._cursor.execute(
                "SELECT max(came_at) FROM group_held WHERE contact = ? AND group_id = ?",
                (contact, group),
            ).fetchone()
            return latest is None or latest <= now - ASK_EVERY_S
        self._cursor.execute(
            "UPDATE groups SET asked_at = ?2 WHERE group_id = ?1 AND asked_at <= ?2 - ?3",
            (group, int(now), ASK_EVERY_S),
        )
        return self._cursor.rowcount == 1

    def set_timer(self, group: bytes, timer_s: int) -> None:
        """Choose after how many seconds new messages disappear."""
        self._cursor.execute("UPDATE groups SET timer_s = ? WHERE group_id = ?", (timer_s, group))

    def leave(self, group: bytes, contact: bytes, number: int) -> None:
        """Somebody, maybe we, is in it no more, as of a roster's number."""
        self._cursor.execute(
            "INSERT INTO group_left VALUES (?1, ?2, ?3) ON CONFLICT (group_id, member)"
            " DO UPDATE SET number = max(number, ?3)",
            (group, contact, number),
        )

    # What came too early

    def hold(self, contact: bytes, content: Content, protection: Protection, now: float) -> None:
        """Keep what its roster is missing for.

        Raises:
            GroupRefused: too much of this contact waits already.
        """
        assert content.group is not None
        self._cursor.execute("DELETE FROM group_held WHERE came_at < ?", (int(now) - HELD_S,))
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM group_held WHERE contact = ?", (contact,)
        ).fetchone()
        if count >= MAX_HELD:
            raise GroupRefused(
                f"expected at most {MAX_HELD} messages before their group's roster, got one more",
                content.content_id,
            )
        value = msgspec.msgpack.encode((content.encode_head(), content.text, protection))
        sealed = self._database.seal(_HELD, contact + content.content_id, value)
        self._cursor.execute(
            "INSERT INTO group_held (contact, group_id, content_id, came_at, sealed)"
            " VALUES (?, ?, ?, ?, ?)",
            (contact, content.group, content.content_id, int(now), sealed),
        )

    def held(self, group: bytes) -> list[HeldContent]:
        """What waits for a roster of a group, in the order in which it came."""
        rows = self._cursor.execute(
            "SELECT number, contact, content_id, sealed FROM group_held WHERE group_id = ?"
            " ORDER BY number",
            (group,),
        ).fetchall()
        found = []
        for number, contact, content_id, sealed in rows:
            value = self._database.open(_HELD, contact + content_id, sealed).reveal()
            head, text, protection = msgspec.msgpack.decode(
                value, type=tuple[bytes, bytes, Protection]
            )
            found.append(HeldContent(number, contact, decode(head, text), protection))
        return found

    def release(self, held: HeldContent) -> None:
        """It is shown now, or never will be."""
        self._cursor.execute("DELETE FROM group_held WHERE number = ?", (held.number,))

    # What waits for a member

    def put_unsent(self, member: bytes, content: Content) -> bool:
        """Keep what goes to a member once there is a way; False if too much waits."""
        assert content.group is not None
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM group_unsent WHERE member = ?", (member,)
        ).fetchone()
        if count >= MAX_UNSENT:
            return False
        head = content.encode_head()
        value = bytes([len(head)]) + head + content.text
        sealed = self._database.seal(_UNSENT, member + content.content_id, value)
        self._cursor.execute(
            "INSERT INTO group_unsent (group_id, member, content_id, sealed) VALUES (?, ?, ?, ?)",
            (content.group, member, content.content_id, sealed),
        )
        return True

    def take_unsent(self, member: bytes) -> list[Content]:
        """What waited for a member, in order; it waits no more."""
        rows = self._cursor.execute(
            "SELECT number, content_id, sealed FROM group_unsent WHERE member = ? ORDER BY number",
            (member,),
        ).fetchall()
        self._cursor.execute("DELETE FROM group_unsent WHERE member = ?", (member,))
        found = []
        for _, content_id, sealed in rows:
            value = self._database.open(_UNSENT, member + content_id, sealed).reveal()
            found.append(decode(value[1 : 1 + value[0]], value[1 + value[0] :]))
        return found

    def unsent(self, group: bytes, content_id: bytes) -> list[bytes]:
        """For which members a content waits."""
        rows = self._cursor.execute(
            "SELECT member FROM group_unsent WHERE group_id = ? AND content_id = ?",
            (group, content_id),
        ).fetchall()
        return [member for (member,) in rows]

    def drop_unsent(self, group: bytes, *, member: bytes = b"", content_id: bytes = b"") -> None:
        """Send nothing of it: of all that waits for a member, or of a content, for anybody."""
        self._cursor.execute(
            "DELETE FROM group_unsent WHERE group_id = ? AND (member = ? OR content_id = ?)",
            (group, member, content_id),
        )

    # Introductions

    def offered(self, member: bytes, group: bytes, mailbox: bytes, now: float) -> None:
        """We have made a contact link for a member, whose mailbox is for them alone."""
        self._cursor.execute(
            "INSERT OR REPLACE INTO introductions VALUES (?, ?, ?, ?, NULL)",
            (member, group, int(now), mailbox),
        )

    def offered_since(self, member: bytes) -> int:
        """When we made a link for a member, in seconds since the epoch; 0: never."""
        row = self._cursor.execute(
            "SELECT made_at FROM introductions WHERE member = ? AND mailbox IS NOT NULL", (member,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def meant_for(self, mailbox: bytes) -> bytes | None:
        """For which member alone a mailbox is; None: it is not one of an introduction."""
        row = self._cursor.execute(
            "SELECT member FROM introductions WHERE mailbox = ?", (mailbox,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def introduced(self, member: bytes, group: bytes, link: bytes, now: float) -> None:
        """A member's contact link has come for us; it is used as soon as it can be."""
        sealed = self._database.seal("introductions", member, link)
        self._cursor.execute(
            "INSERT OR REPLACE INTO introductions VALUES (?, ?, ?, NULL, ?)",
            (member, group, int(now), sealed),
        )

    def links(self) -> list[tuple[bytes, bytes, str]]:
        """Members whose links were not used yet, with group and link."""
        rows = self._cursor.execute(
            "SELECT member, group_id, sealed FROM introductions WHERE sealed IS NOT NULL"
        ).fetchall()
        return [
            (
                member,
                group,
                self._database.open("introductions", member, sealed).reveal().decode("ascii"),
            )
            for member, group, sealed in rows
        ]

    def met(self, member: bytes) -> bytes | None:
        """There is a way between a member and us now; the group by which, if it was by one."""
        row = self._cursor.execute(
            "DELETE FROM introductions WHERE member = ? RETURNING group_id", (member,)
        ).fetchone()
        return None if row is None else bytes(row[0])


def _row(group: bytes, number: int) -> bytes:
    return group + number.to_bytes(4, "big")
