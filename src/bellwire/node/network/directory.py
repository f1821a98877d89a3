"""Who is where, as the topology file says now: SAEs come and go without a restart of any site."""

from pathlib import Path
from typing import Protocol

import structlog

from bellwire.base.errors import BellwireError
from bellwire.node.network.map import NetworkMap, read_map

log = structlog.get_logger()


class Registry(Protocol):
    """The SAEs that have a certificate of this site: `pki.registry.Registry`."""

    def serves(self, sae: str) -> bool:
        """Whether an SAE has one that is believed now."""


class FileDirectory:
    """The directory of one site (`network.kme.Directory`).

    What cannot be read any more changes nothing. An SAE is of this site if the file says so and it
    has a certificate of the site.

    Args:
        path: Of the topology file.
        site: This one.
        registry: Its SAEs; None if it serves none.
    """

    def __init__(self, path: Path, site: str, registry: Registry | None) -> None:
        self._path = path
        self._site = site
        self._registry = registry
        self._read = self._what()
        self.map: NetworkMap = read_map(path)
        self._homes = self.map.homes()

    def serves(self, sae: str) -> bool:
        """Whether an SAE is of this site now."""
        return (
            self._registry is not None
            and self._homes.get(sae) == self._site
            and self._registry.serves(sae)
        )

    def site_of(self, sae: str) -> str | None:
        """The site of an SAE; None for one of nowhere."""
        return self._homes.get(sae)

    def kme_of(self, site: str) -> str:
        """Id of a site's KME."""
        return self.map.kme_of(site)

    def refresh(self) -> bool:
        """Read the file again if it has changed; whether SAEs are taken from a new one.

        Sites and links are those of the start: other ones need a restart, and are told of.
        """
        what = self._what()
        if what is None or what == self._read:
            return False
        self._read = what
        try:
            found = read_map(self._path)
        except BellwireError as error:
            log.warning("topology not read", reason=str(error))
            return False
        if found.links != self.map.links or {n: s.identity for n, s in found.sites.items()} != {
            n: s.identity for n, s in self.map.sites.items()
        }:
            log.warning("topology with other sites or links waits for a restart")
            return False
        self.map, self._homes = found, found.homes()
        log.info("SAEs of the topology read", saes=len(self._homes))
        return True

    def _what(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
