"""The light of a demo from recordings: what both sites say of theirs, and nothing of the tags."""

from dataclasses import dataclass
from pathlib import Path

from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.base.private import expanded
from bellwire.link.timetags.recording import SITES, Recording
from bellwire.link.timetags.source import PREFIX, folder_of

EVE_LEFT_OUT = "Eve is left out: to attack light that was recorded, she would have had to be there."


@dataclass(frozen=True, slots=True)
class Recordings:
    """Both sites' recordings; each node opens its own.

    Attributes:
        folder: With `a` and `b`.
        protocol: Of both.
        generated: Whether a program made the tags.
    """

    folder: Path
    protocol: Protocol
    generated: bool

    @classmethod
    def load(cls, source: str) -> "Recordings":
        """What `timetags:DIR` names.

        Raises:
            UsageError: another kind of source, or recordings that do not go together.
            TagsUnreadable: a site has no recording, or its description is none.
        """
        folder = folder_of(source)
        if folder is None:
            raise UsageError(
                f"expected --source as {PREFIX}DIR, got {source}",
                hint="Without --source the light is simulated. 'bellwire lab tags DIR' writes "
                "recordings to try.",
            )
        folder = expanded(folder).resolve()
        both = [Recording.load(folder / site).about for site in SITES]
        for site, about in zip(SITES, both, strict=True):
            if about.site != site:
                raise UsageError(
                    f"expected a recording of site {site} in {folder / site}, got one of "
                    f"{about.site}"
                )
        alice, bob = both
        for name in ("protocol", "generated", "window_ps"):
            if getattr(alice, name) != getattr(bob, name):
                raise UsageError(
                    f"expected one {name} in both recordings in {folder}, got "
                    f"{getattr(alice, name)} and {getattr(bob, name)}"
                )
        return cls(folder, alice.protocol, alice.generated)

    def source(self, site: str) -> str:
        """The setting of a site's node."""
        return f"{PREFIX}{self.folder / site}"
