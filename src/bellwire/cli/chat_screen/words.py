"""What the window says, as text with styles: never markup, and of other people never a control.

Each colour stands beside a word or sign that says the same, for terminals without colours.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from textual.content import Content

from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import (
    PAD_MESSAGE_BYTES,
    Alert,
    AlertKind,
    Conversation,
    Line,
    LineState,
    LinkStatus,
    Mode,
)
from bellwire.chat.pads import Policy
from bellwire.cli.chat_screen.files import file_words
from bellwire.cli.chat_screen.people import next_protection
from bellwire.cli.chat_words import clock, state_words
from bellwire.etsi014.record import SessionRecord

if TYPE_CHECKING:
    from bellwire.node.overheard import Message

STATES: Final = {
    LineState.WAITING: "… waits for its pad",
    LineState.QUEUED: "→ on its way",
    LineState.SENT: "✓ sent",
    LineState.DELIVERED: "✓✓ delivered",
    LineState.READ: "✓✓ read",
    LineState.REFUSED: "✗ not shown there",
    LineState.NOT_SENT: "✗ NOT SENT",
}
KEPT_BACK: Final = frozenset({LineState.NOT_SENT, LineState.REFUSED})
_SEALED: Final = frozenset(
    {LineState.QUEUED, LineState.SENT, LineState.DELIVERED, LineState.READ, LineState.RECEIVED}
)
_COLOURS: Final = {"GREEN": "bold $text-success", "YELLOW": "bold $text-warning"}
_BAD: Final = "bold $text-error"
POLICIES: Final = {
    Policy.REQUIRE: "never without pad",
    Policy.PREFER: "pad if any",
    Policy.OFF: "AES only",
}
QUOTE_CELLS: Final = 40


def quoted(text: str, cells: int = QUOTE_CELLS) -> str:
    """The beginning of somebody's words, on one line."""
    line = " ".join(harmless(text, lines=True).split())
    return line if len(line) <= cells else f"{line[: cells - 1]}…"


def protection(line: Line, *, by_session: bool) -> str:
    """What a message was under; empty for one that is not sealed yet."""
    if line.state not in _SEALED:
        return ""
    if not line.protection.is_one_time:
        return "AES only"
    if line.attachment is not None and line.attachment.chunked:
        return "AES-256-GCM, key under pad"
    return "own session" if by_session else "pool pad"


def message(
    line: Line, name: str, *, target: Line | None, by_session: bool, is_notes: bool, now: float
) -> Content:
    """A line of the conversation: when, who, words, protection, and how far it has come."""
    who = "you" if line.ours else quoted(name, 20)
    parts: list[tuple[str, str]] = [(f"{clock(line.sent_ms, now)} ", "dim"), (f"{who} ", "bold")]
    if line.target is not None:
        about = "a message" if target is None else f"“{quoted(target.text, 24)}”"
        parts.append((f"↳ {about} ", "italic dim"))
    if line.state is LineState.DELETED:
        return Content.assemble(*parts, ("taken back", "italic dim"))
    if line.attachment is None:
        parts.append((harmless(line.text, lines=True), ""))
    else:
        parts.append((file_words(line, line.attachment), ""))
    if line.edited:
        parts.append((" (edited)", "dim"))
    if is_notes:
        return Content.assemble(*parts)
    under = protection(line, by_session=by_session)
    if under:
        colour = "$text-warning" if under == "AES only" else "$text-success"
        parts.append((f"  {_unbroken(under)}", colour))
    if line.ours:
        bad = line.state in KEPT_BACK
        far = f"→ {state_words(line)}" if line.copies else STATES[line.state]
        parts.append((f"  {_unbroken(far)}", _BAD if bad else "dim"))
        if line.state is LineState.NOT_SENT and line.why:
            parts.append((f": {harmless(line.why)}", "dim"))
    return Content.assemble(*parts)


def _unbroken(said: str) -> str:
    """What stays on one row."""
    return said.replace(" ", "\u00a0")


def contact(entry: Conversation, *, is_open: bool, is_here: bool, width: int) -> Content:
    """An entry of the list: sign of life, name, and how many are unread."""
    here = "✎" if entry.is_notes else "…" if not entry.reachable else "●" if is_here else "○"
    count = f" {entry.unread:,}" if entry.unread else ""
    under, is_pad = next_protection(entry)
    tail = " typing" if entry.typing else f" {under}" if under else ""
    room = max(4, width - 2 - len(count) - len(tail))
    name = Content(quoted(entry.name, room)).truncate(room, ellipsis=True, pad=True)
    return Content.assemble(
        (f"{here} ", "$text-success" if is_here else "dim"),
        name.stylize("bold" if is_open or entry.unread else ""),
        (tail, "italic" if entry.typing else "dim" if is_pad else "$text-warning"),
        (count, "bold $text-warning"),
    )


def typing(entry: Conversation) -> str:
    """Who types there now, behind its name; empty: nobody."""
    if not entry.typing:
        return ""
    if not entry.is_group:
        return " is typing …"
    first, *others = entry.typists or ("somebody",)
    more = f" and {len(others)} more are" if others else " is"
    return f": {quoted(first, 12)}{more} typing …"


def badge(requests: int) -> Content:
    """How many strangers wait, and the key that shows them."""
    return Content(f" {requests} request{'' if requests == 1 else 's'}: F2 ")


def welcome() -> Content:
    """What to do while there is nobody to talk to."""
    return Content.assemble(
        ("There is nobody to talk to yet.\n\n", "bold"),
        "Give a contact link to one person, in a way that you both trust:\n",
        ("  /link FILE", "bold"),
        "    writes one to a new file\n\n",
        "Or use what you were given:\n",
        ("  /add FILE", "bold"),
        "     with somebody's contact link in it\n",
        ("  /add @HANDLE", "bold"),
        "  somebody's handle at the relay\n\n",
        "What you write meanwhile are notes to yourself. F1 is help.",
    )


def corner(status: LinkStatus) -> Content:
    """The line to the relay, and the quantum link by our own node's word."""
    up = status.sending and status.receiving
    keys = "no node" if status.keys_trouble else status.keys or "not known"
    source = f" ({harmless(status.source)})" if status.source else ""
    return Content.assemble(
        "relay ",
        ("✓ up", "bold") if up else ("✗ down", "bold reverse"),
        "  link ",
        (harmless(keys), "bold" if keys == "GREEN" else "bold reverse"),
        source,
    )


def link_words(status: LinkStatus) -> list[str]:
    """The same at length."""
    up = status.sending and status.receiving
    relay = "connected" if up else f"not connected: {status.trouble or 'trying'}"
    keys = status.keys_trouble or status.keys or "not known yet"
    return [
        f"relay           {harmless(relay)}",
        f"quantum link    {harmless(keys)}",
        f"source of keys  {harmless(status.source or 'not known yet')}",
    ]


def facts(entry: Conversation) -> Content:
    """Below a conversation: the pad that is left, where pads come from, and the policy."""
    if entry.is_notes:
        return Content("notes stay in this store, sealed; nothing is sent")
    left = f"{entry.pad_bytes:,} B, {entry.pad_messages:,} messages"
    known = ("verified", "$text-success") if entry.verified else ("not verified", "$text-warning")
    timer = f" · gone in {entry.timer_s} s" if entry.timer_s else ""
    people = f" · {entry.members} people" if entry.is_group else ""
    rest = (f" · {POLICIES[entry.policy]} · ", known, timer, people)
    if entry.mode is Mode.FRESH:
        return Content.assemble("a pad for each message · stock ", (left, "bold"), *rest)
    low = not entry.pad_messages and entry.policy is not Policy.OFF
    return Content.assemble("pad left ", (left, _BAD if low else "bold"), " · from stock", *rest)


def figures(record: SessionRecord) -> list[str]:
    """S and QBER with their standard errors, where they were measured."""
    found = []
    if record.s is not None:
        error = "" if record.s_stderr is None else f" ± {record.s_stderr:.3f}"
        found.append(f"S {record.s:.3f}{error}")
    if record.qber is not None:
        found.append(f"QBER {record.qber:.1%}")
    return found


def session_row(record: SessionRecord) -> Content:
    """A session in a row."""
    mark = ("✓ ", "bold $text-success") if record.accepted else ("✗ ", _BAD)
    parts = [
        *figures(record),
        f"{record.pairs:,} pairs",
        f"{record.sifted_bits:,} sifted",
        f"pad {record.final_bits:,} bit" if record.accepted else "no pad",
    ]
    return Content.assemble(mark, " · ".join(parts))


def session_words(record: SessionRecord) -> list[str]:
    """All that a session measured."""

    def pm(value: float | None, error: float | None, scale: float = 1, digits: int = 3) -> str:
        if value is None:
            return "not measured"
        tail = "" if error is None else f" ± {scale * error:.{digits}f}"
        return f"{scale * value:.{digits}f}{tail}"

    lower = "" if record.s_lower is None else f", at least {record.s_lower:.3f}"
    verdict = "accepted" if record.accepted else f"ABORTED: {record.reason or 'no reason given'}"
    rows = [
        ("verdict", verdict),
        ("pairs", f"{record.pairs:,} emitted, {record.coincidences:,} seen at both sides"),
        ("S (CHSH)", f"{pm(record.s, record.s_stderr)}{lower}, from {record.test_pairs:,} pairs"),
        ("QBER", f"{pm(record.qber, record.qber_stderr, 100, 2)} %"),
        ("sifted", f"{record.sifted_bits:,} bits"),
        ("leaked", f"{record.leaked_bits:,} bits, and {record.verification_bits} to verify"),
        ("pad", f"{record.final_bits:,} bits, used once and erased"),
        ("fails by", "-" if record.epsilon is None else f"at most {record.epsilon:.1e}"),
        ("in the open", f"{record.public_bytes:,} bytes, of which Eve learns no bit of the pad"),
        ("source", record.source),
        ("took", f"{record.total_ms:.0f} ms"),
        ("steps", ", ".join(f"{each.step} {each.ms:.1f}" for each in record.steps) + " ms"),
        ("session", record.session),
    ]
    if not record.accepted:
        rows[6] = ("pad", "none: what was measured is destroyed")
        rows[8] = ("in the open", f"{record.public_bytes:,} bytes")
    return [f"{name:<13}{harmless(value)}" for name, value in rows]


def banner(alert: Alert, *, kept: int) -> Content:
    """An alert, so that nobody can miss it, and nobody need be afraid."""
    words = harmless(alert.words)
    if alert.kind is AlertKind.EVE:
        rest = (
            "Your message is kept and goes by itself when the line is clear (Ctrl+R: now)."
            if kept
            else "There is nothing that you must do: they send again when the line is clear."
        )
        return Content.assemble(
            ("!! EVE MAY BE LISTENING. The key was destroyed; nothing was sent under it.\n",
             "bold"),
            f"{words[:1].upper()}{words[1:]}\n{rest}",
        )  # fmt: skip
    if alert.kind is AlertKind.CLEAR:
        return Content.assemble(("CLEAR AGAIN: ", "bold"), words)
    if alert.kind is AlertKind.NO_PAD:
        rest = "It is kept and goes when there is pad; Ctrl+R tries now, /policy prefer sends it."
        return Content.assemble((f"! {words}\n", "bold"), rest)
    return Content.assemble((f"! {words}", "bold"))


def seen_of_eve(aborted: Sequence[tuple[str, SessionRecord]], status: LinkStatus) -> list[str]:
    """What there was of an eavesdropper: aborted sessions, with when and with whom."""
    rows = [
        f"The quantum link is {harmless(status.keys or 'not known')} by our own node's word.",
        "Sessions that gave no pad since this window opened:",
        "",
    ]
    for name, record in aborted:
        when = clock(int(record.began_at * 1000), time.time())
        said = " · ".join(figures(record)) or (record.reason or "")
        rows.append(f"{when}  with {quoted(name, 20)}: {harmless(said)}")
    if not aborted:
        rows[1:] = ["No session was aborted since this window opened."]
    return [
        *rows,
        "",
        "Whoever measures the photons of a pair breaks its entanglement:",
        "S falls below 2, and QBER rises. Such a session gives no key,",
        "and what was to go under it stays here.",
    ]


def overheard(messages: "Sequence[Message]") -> list[str]:
    """What a passive Eve has of sessions: it is public, and gives her no bit of a pad."""
    rows = [
        f"{harmless(each.session[:8])} {each.sender:<5} step {each.step:<3} "
        f"{harmless(each.phase):<15} {each.size:>7,} B  {each.beginning[:8].hex()}"
        for each in messages
    ]
    said = "Bases, test outcomes and checks cross in the open, and give her no bit of a pad."
    return [said, "", *(rows or ["Nothing yet: say something in fresh mode."])]


def pad_legend() -> str:
    """How messages of the pad that is left are counted."""
    return f"The pad left is counted in messages of {PAD_MESSAGE_BYTES} bytes of text."


def status_words(entry: Conversation, status: LinkStatus, name: str) -> list[str]:
    """A conversation, the relay and the link."""
    rows = [f"you             {quoted(name, 40)}", *link_words(status), ""]
    if entry.is_notes:
        return [*rows, "notes to yourself: nothing of them is sent"]
    fresh = entry.mode is Mode.FRESH
    who = [
        f"conversation    {quoted(entry.name, 40)}",
        f"reachable       {'yes' if entry.reachable else 'not yet: they have not used the link'}",
        f"safety number   {'compared: verified' if entry.verified else 'not compared: /verify'}",
    ]
    if entry.is_group:
        who = [
            f"group           {quoted(entry.name, 40)}, {entry.members} people (F3)",
            f"reachable       {'all of them' if entry.reachable else 'not all of them yet'}",
            f"safety numbers  {'compared with all' if entry.verified else 'not compared with all'}",
        ]
    return [
        *rows,
        *who,
        f"pads            {'a session for each message' if fresh else 'from the pool'} (/mode)",
        f"pad left        {entry.pad_bytes:,} bytes, {entry.pad_messages:,} messages",
        f"policy          {POLICIES[entry.policy]} (/policy)",
        f"timer           {f'{entry.timer_s:,} s' if entry.timer_s else 'messages stay'} (/timer)",
        f"unread          {entry.unread:,}",
    ]


def without_session(line: Line) -> list[str]:
    """What a message without a session of its own was under."""
    if line.state not in _SEALED:
        return ["It is not sealed yet, and no session was run for it."]
    if not line.protection.is_one_time:
        return ["No one-time pad: AES-256-GCM under keys of X25519 and ML-KEM-768."]
    return [
        f"One-time pad from stock, {line.protection.pad_bytes:,} bytes of it, erased after use.",
        f"Source of the pad: {harmless(line.protection.pad_source or '')}.",
        "Its bits come from earlier sessions of the two nodes; /mode fresh runs one per message.",
    ]
