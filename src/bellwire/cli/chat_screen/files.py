"""What the window says of files: how large, how protected, and how far each has come."""

from typing import Final

from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import Attachment, AttachmentState, Line
from bellwire.cli.chat_files import size_words

BAR_CELLS: Final = 10
NAME_CELLS: Final = 60


def file_words(line: Line, file: Attachment) -> str:
    """A file, in the place of words."""
    name = harmless(" ".join(file.name.split()))
    name = name if len(name) <= NAME_CELLS else f"{name[: NAME_CELLS - 1]}…"
    said = (_ours if line.ours else _theirs)(file)
    return f"file {name}, {size_words(file.size)}" + (f"  {said}" if said else "")


def bar(done: int, size: int) -> str:
    """How much of it: a bar and a number; all of it only when it is all."""
    percent = min(99, done * 100 // size) if done < size else 100
    full = percent * BAR_CELLS // 100
    return f"{'█' * full}{'░' * (BAR_CELLS - full)} {percent} %"


def reading(done: int, size: int) -> str:
    """While a file of ours is sealed into the store."""
    return f"sealing {bar(done, size)} of {size_words(size)} into your store"


def _ours(file: Attachment) -> str:
    if not file.chunked and file.state is not AttachmentState.ELSEWHERE:
        return ""  # it goes as words do, and their states say how far
    return {
        AttachmentState.COMING: f"{bar(file.done, file.size)} with them",
        AttachmentState.HERE: "all with them",
        AttachmentState.SAVED: "all with them",
        AttachmentState.STOPPED: "✗ not taken there",
        AttachmentState.ELSEWHERE: "on another device of yours",
    }[file.state]


def _theirs(file: Attachment) -> str:
    return {
        AttachmentState.COMING: f"{bar(file.done, file.size)} here",
        AttachmentState.HERE: "here: /save",
        AttachmentState.SAVED: "saved",
        AttachmentState.STOPPED: "✗ not to be had",
        AttachmentState.ELSEWHERE: "on another device of yours",
    }[file.state]
