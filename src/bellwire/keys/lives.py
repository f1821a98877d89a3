"""The life of a unit of the pool, and of the agreement between the two pools of a link.

Both are tables: `pool` counts units by their life, `peering.session` moves the agreement along its
table, `docs/explanation/key-pool.md` draws both, and the tests hold every step of every store to
them. A life that is not in a table cannot be.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class UnitLife(StrEnum):
    """What a unit is at one side, from the moment that its block is ready there."""

    OURS = "ours"
    OFFERED = "offered"
    THEIRS = "theirs"
    LEFT = "left"


class UnitEvent(StrEnum):
    """What becomes of a unit; each is durable before anybody hears of it."""

    TAKEN = "a master got it"
    GIVEN = "given to the peer"
    SETTLED = "the peer has taken it over"
    TAKEN_OVER = "the peer gave it"
    FETCHED = "its last slave got it"
    EXPIRED = "nobody fetched it in time"
    FENCED = "the epoch ended"


UNIT_STEPS: dict[tuple[UnitLife, UnitEvent], UnitLife] = {
    (UnitLife.OURS, UnitEvent.TAKEN): UnitLife.LEFT,
    (UnitLife.OURS, UnitEvent.GIVEN): UnitLife.OFFERED,
    (UnitLife.OURS, UnitEvent.FENCED): UnitLife.LEFT,
    (UnitLife.OFFERED, UnitEvent.SETTLED): UnitLife.THEIRS,
    (UnitLife.OFFERED, UnitEvent.FETCHED): UnitLife.LEFT,
    (UnitLife.OFFERED, UnitEvent.EXPIRED): UnitLife.LEFT,
    (UnitLife.OFFERED, UnitEvent.FENCED): UnitLife.LEFT,
    (UnitLife.THEIRS, UnitEvent.TAKEN_OVER): UnitLife.OURS,
    (UnitLife.THEIRS, UnitEvent.FETCHED): UnitLife.LEFT,
    (UnitLife.THEIRS, UnitEvent.EXPIRED): UnitLife.LEFT,
    (UnitLife.THEIRS, UnitEvent.FENCED): UnitLife.LEFT,
}
"""Every step that there is. From LEFT there is none."""


class Agreement(StrEnum):
    """What a side knows of the two pools, since its node started."""

    UNKNOWN = "unknown"
    ALIKE = "alike"
    FENCED = "fenced"


class News(StrEnum):
    """What a side learns about them."""

    SAME = "the pools agree"
    DIFFERENT = "they do not"
    MISNUMBERED = "a block is numbered differently"
    PARTED = "the connection ended"


AGREEMENT_STEPS: dict[tuple[Agreement, News], Agreement] = {
    (Agreement.UNKNOWN, News.SAME): Agreement.ALIKE,
    (Agreement.UNKNOWN, News.DIFFERENT): Agreement.FENCED,
    (Agreement.UNKNOWN, News.MISNUMBERED): Agreement.FENCED,
    (Agreement.UNKNOWN, News.PARTED): Agreement.UNKNOWN,
    (Agreement.ALIKE, News.SAME): Agreement.ALIKE,
    (Agreement.ALIKE, News.DIFFERENT): Agreement.FENCED,
    (Agreement.ALIKE, News.MISNUMBERED): Agreement.FENCED,
    (Agreement.ALIKE, News.PARTED): Agreement.ALIKE,
    (Agreement.FENCED, News.SAME): Agreement.ALIKE,
    (Agreement.FENCED, News.DIFFERENT): Agreement.FENCED,
    (Agreement.FENCED, News.MISNUMBERED): Agreement.FENCED,
    (Agreement.FENCED, News.PARTED): Agreement.FENCED,
}
"""Every agreement with every news. Keys of the link leave in ALIKE only, whether the peer is there
at the moment or not: what is handed out lies in a half that he leaves alone."""

Life = TypeVar("Life", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


def diagram(steps: Mapping[tuple[Life, Event], Life], begin: tuple[Life, ...]) -> str:
    """A table as a Mermaid state diagram, steps between the same two lives joined."""
    lines = ["stateDiagram-v2", *(f"    [*] --> {life.value}" for life in begin)]
    joined: dict[tuple[Life, Life], list[str]] = {}
    for (life, event), following in steps.items():
        joined.setdefault((life, following), []).append(event.value)
    lines += [
        f"    {life.value} --> {following.value}: {', '.join(events)}"
        for (life, following), events in joined.items()
    ]
    return "\n".join(lines) + "\n"
