"""Messages, sessions and notes in words, harmless for a terminal, and as JSON."""

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from bellwire.chat.messenger.views import Conversation, Line, LinkStatus
    from bellwire.etsi014.record import SessionRecord


_LAST_MS: Final = 253_402_300_799_000
"""The end of the year 9999: beyond it nothing names a day."""


def clock(sent_ms: int, now: float) -> str:
    """When, by the sender's clock: the time, with its day if that is not today."""
    if not 0 <= sent_ms <= _LAST_MS:
        return "??:??"
    then, today = time.localtime(sent_ms / 1000), time.localtime(now)
    is_today = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", then)


def note_words(text: str) -> str:
    """One harmless line."""
    from bellwire.chat.messenger.harmless import harmless

    return harmless(text)


def line_words(line: "Line", name: str, records: "list[SessionRecord]") -> str:
    """A message, as one line."""
    who = "you" if line.ours else note_words(line.author_name or name)
    if line.author is not None or line.copies:
        who += f" in {note_words(name)}"
    text = "(taken back)" if line.state.value == "deleted" else file_words(line)
    edited = ", edited" if line.edited else ""
    state = f", {state_words(line)}" if line.ours else ""
    when = clock(line.sent_ms, time.time())
    return f"{when} {who}: {text}  [{protection_words(line, records)}{edited}{state}]"


def state_words(line: "Line") -> str:
    """How far a line of ours has come; in a group, with how many, and with whom not."""
    if not line.copies or line.state.value == "deleted":
        return line.state.value
    count = len(line.copies)
    reached = [each.state.value for each in line.copies]
    read = reached.count("read")
    said = [f"delivered {read + reached.count('delivered')} of {count}"]
    if read:
        said.append(f"read {read} of {count}")
    for state in ("not sent", "refused", "waiting"):
        names = [note_words(each.name) for each in line.copies if each.state.value == state]
        if names:
            said.append(f"{state}: {', '.join(names)}")
    return ", ".join(said)


def file_words(line: "Line") -> str:
    """What was said: words, or of an attachment its name, size and how far it has come."""
    file = line.attachment
    if file is None:
        return note_words(line.text)
    state = (
        f"{file.done * 100 // file.size}% here"
        if file.state.value == "coming"
        else file.state.value
    )
    return f"file {note_words(file.name)}, {file.size:,} bytes, {state}"


def file_document(line: "Line") -> dict[str, Any]:
    """An attachment as JSON, under `file`; nothing if there is none."""
    file = line.attachment
    if file is None:
        return {}
    return {
        "file": {
            "name": file.name,
            "size": file.size,
            "done": file.done,
            "state": file.state.value,
            "chunked": file.chunked,
        }
    }


def protection_words(line: "Line", records: "list[SessionRecord]") -> str:
    """What a message was protected by."""
    if not line.protection.is_one_time:
        chunked = line.attachment is not None and line.attachment.chunked
        return "AES-256-GCM, no pad" if chunked else "no pad"
    source = f"pad, {line.protection.pad_source}"
    if line.attachment is not None and line.attachment.chunked:
        source = f"AES-256-GCM, its key under {source}"
    if records and records[-1].s is not None:
        return f"{source}, S {records[-1].s:.2f}"
    return source


def document(event: str, line: "Line", name: str) -> dict[str, Any]:
    """A message as JSON; of one in a group, `name` and `contact` are the group's."""
    protection = line.protection
    of_group = {"author": line.author_name, "author_id": line.author.hex()} if line.author else {}
    copies = [
        {
            "name": each.name,
            "contact": each.member.hex(),
            "state": each.state.value,
            "why": each.why,
            "pad": each.protection.pad_source,
            "pad_bytes": each.protection.pad_bytes,
        }
        for each in line.copies
    ]
    return {
        "event": event,
        "name": name,
        "contact": line.contact.hex(),
        "id": line.message_id.hex(),
        "ours": line.ours,
        "text": line.text,
        "sent_ms": line.sent_ms,
        "state": line.state.value,
        "why": line.why,
        "reply_to": None if line.target is None else line.target.hex(),
        "edited": line.edited,
        "pad": protection.pad_source,
        "pad_bytes": protection.pad_bytes,
        **of_group,
        **({"copies": copies} if copies else {}),
        **file_document(line),
    }


def record_words(record: "SessionRecord | None") -> Any:
    """A session as JSON."""
    return None if record is None else msgspec.to_builtins(record)


def session_lines(record: "SessionRecord") -> list[str]:
    """A session in words, a line each."""
    s = "unknown" if record.s is None else f"{record.s:.3f} ± {record.s_stderr or 0:.3f}"
    qber = "unknown" if record.qber is None else f"{record.qber:.2%}"
    lines = [
        f"session {record.session}: {record.verdict}, source {record.source}",
        f"  pairs {record.pairs:,}, at both sides {record.coincidences:,}, "
        f"sifted bits {record.sifted_bits:,}, outcomes opened {record.test_pairs:,}",
        f"  S = {s}, QBER {qber}, leaked {record.leaked_bits:,} bits, "
        f"pad of {record.final_bits:,} bits",
    ]
    steps = ", ".join(f"{note_words(each.step)} {each.ms:.1f}" for each in record.steps)
    lines.append(f"  ms: {steps}, in all {record.total_ms:.1f}")
    if not record.accepted:
        lines.append(f"  aborted: {note_words(record.message or record.reason or 'no reason')}")
    return lines


def conversation_words(each: "Conversation") -> str:
    """An entry of the list."""
    if each.is_notes:
        return f"{note_words(each.name)} (me)"
    pad = f"{each.pad_bytes:,} bytes of pad, {each.pad_messages} messages"
    said = [f"{each.unread} unread", f"mode {each.mode.value}", f"policy {each.policy.value}", pad]
    said.append("verified" if each.verified else "not verified")
    if not each.reachable:
        said.append("not reachable yet")
    if each.is_group:
        who = f"group of {each.members}" if each.is_in else "group that you are not in any more"
        said.insert(0, who)
    return f"{note_words(each.name)}: {', '.join(said)}"


def status_words(status: "LinkStatus") -> str:
    """What stands in a screen's corner."""
    relay = "connected" if status.sending and status.receiving else "not connected"
    trouble = f" ({note_words(status.trouble)})" if status.trouble and relay[0] == "n" else ""
    keys = status.keys or (status.keys_trouble and note_words(status.keys_trouble)) or "not known"
    source = f", source {status.source}" if status.source else ""
    return f"relay: {relay}{trouble}; link: {keys}{source}"
