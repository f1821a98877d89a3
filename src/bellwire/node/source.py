"""Where a node's halves come from: the simulated link, or this site's recording of time tags."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import UsageError
from bellwire.base.private import expanded
from bellwire.keys.model import KeySourceKind
from bellwire.link import weak_nodes
from bellwire.link.client import LinkClient
from bellwire.link.timetags.matching import Matched
from bellwire.link.timetags.recording import Recording
from bellwire.link.timetags.source import TimeTagLink, Uses, folder_of, warm
from bellwire.node.material import Link
from bellwire.node.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Source:
    """A source of halves.

    Attributes:
        link: Asked for each block.
        kind: What its light makes of a key.
        warm: Compiles what a block needs.
        overlapping: Whether blocks may be asked for before earlier ones are agreed on; a recording
            is read from where the block before ended.
    """

    link: Link
    kind: KeySourceKind
    warm: Callable[[], None]
    overlapping: bool


def open_source(settings: Settings, side: Side, link_dir: Path, folder: Path) -> Source:
    """The source that `distill.source` names.

    Args:
        settings: Of the node.
        side: The node's.
        link_dir: Folder of the link's sockets.
        folder: Of the node's state: it keeps how far recordings were used.

    Raises:
        TagsUnreadable: a recording that is none.
        UsageError: a recording of the other site, of another protocol than is distilled, or in the
            home of nobody.
    """
    where = folder_of(settings.distill.source)
    if where is None:
        simulated = LinkClient(
            link_dir / f"{side}.sock",
            rectilinear=settings.distill.rectilinear,
            decoys=settings.weak.decoys,
            decoy_rectilinear=settings.weak.rectilinear,
        )
        alice = Protocol(settings.distill.protocol).weak and side is Side.ALICE
        ready = weak_nodes.warm if alice else _nothing
        return Source(simulated, KeySourceKind.SIMULATED, ready, overlapping=True)
    recording = Recording.load(expanded(where))
    about = recording.about
    if about.side is not side:
        raise UsageError(f"expected a recording of {side} in {where}, got one of {about.side}")
    if about.protocol != settings.distill.protocol:
        raise UsageError(
            f"expected time tags of {settings.distill.protocol}, got {about.protocol} in {where}",
            hint=f"Set distill.protocol to {about.protocol}, at both nodes.",
        )
    # What a program made up has the worth of simulated light.
    kind = KeySourceKind.SIMULATED if about.generated else KeySourceKind.RECORDED
    uses = Uses(folder / "tags.json")
    link = TimeTagLink(recording, uses, _tell_matched, _tell_ended)
    return Source(link, kind, warm, overlapping=False)


def _nothing() -> None:
    pass


def _tell_matched(matched: Matched) -> None:
    clock, found = matched.clock, matched.alignment
    log.info(
        "tags matched",
        coincidences=matched.coincidences,
        by_chance=matched.by_chance,
        own_events=matched.alice_events or matched.bob_events,
        offset_ps=None if clock is None else round(clock.offset_ps),
        drift_ppm=None if clock is None else round(clock.drift * 1e6, 6),
        log10_false_alarm=None if found is None else round(found.log10_false_alarm, 1),
    )


def _tell_ended(reason: str) -> None:
    log.warning("no more light", reason=reason)
