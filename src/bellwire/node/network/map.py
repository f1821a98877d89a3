"""The topology file: all sites of a network and their links, as operators have written them down.

The same file lies at all sites. It pins who a site is, where it listens, and which SAEs are its
own, so that no site can claim another's. Format: docs/reference/network.md.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bellwire.keys.kme import MAX_SAE_ID
from bellwire.network.identity import MAX_NODES, Roster
from bellwire.network.linkstate import MAX_LINKS
from bellwire.network.topology import MAX_COST
from bellwire.node.errors import ConfigError

MAX_FILE_BYTES: Final = 4 << 20
_SECTION = ConfigDict(extra="forbid", frozen=True)
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_Sae = Annotated[str, Field(min_length=1, max_length=MAX_SAE_ID)]


class SiteEntry(BaseModel):
    """A site.

    Attributes:
        identity: Fingerprint of its identity, 64 hexadecimal digits.
        address: HOST:PORT where it listens for other sites; empty where a NATS server is used.
        kme: Id of its KME; `kme-NAME` where it is empty.
        saes: Its SAEs.
    """

    model_config = _SECTION

    identity: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
    address: Annotated[
        str, Field(pattern=r"^(|(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]{1,253}):[0-9]{1,5})$")
    ]
    kme: Annotated[str, Field(max_length=MAX_SAE_ID)] = ""
    saes: Annotated[tuple[_Sae, ...], Field(max_length=100_000)] = ()


class LinkEntry(BaseModel):
    """A link.

    Attributes:
        between: The two sites.
        cost: What carrying over it costs, 1 to 10,000.
    """

    model_config = _SECTION

    between: tuple[_Name, _Name]
    cost: Annotated[int, Field(ge=1, le=MAX_COST)] = 1


class NetworkMap(BaseModel):
    """All sites and links of a network.

    Attributes:
        sites: By name.
        links: One for each pair of sites that share one.
    """

    model_config = _SECTION

    sites: Annotated[dict[_Name, SiteEntry], Field(min_length=1, max_length=MAX_NODES)]
    links: Annotated[tuple[LinkEntry, ...], Field(max_length=100_000)] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        pairs: set[frozenset[str]] = set()
        for link in self.links:
            one, other = link.between
            for name in link.between:
                if name not in self.sites:
                    raise ValueError(f"expected links between sites of the file, got one to {name}")
            if one == other or frozenset(link.between) in pairs:
                raise ValueError(
                    f"expected one link between two sites, got another from {one} to {other}"
                )
            pairs.add(frozenset(link.between))
        homes: dict[str, str] = {}
        for name, site in self.sites.items():
            for sae in site.saes:
                if homes.setdefault(sae, name) != name:
                    raise ValueError(
                        f"expected SAE {sae[:64]!r} at one site, got {homes[sae]} and {name}"
                    )
        busiest = max((len(self.neighbours(name)) for name in self.sites), default=0)
        if busiest > MAX_LINKS:
            raise ValueError(f"expected at most {MAX_LINKS} links of a site, got {busiest}")
        return self

    def neighbours(self, site: str) -> dict[str, int]:
        """The sites that a site has a link to, and what each costs."""
        found = {}
        for link in self.links:
            one, other = link.between
            if site in link.between:
                found[other if site == one else one] = link.cost
        return found

    def roster(self) -> Roster:
        """Who the sites are."""
        return Roster({name: bytes.fromhex(each.identity) for name, each in self.sites.items()})

    def homes(self) -> Mapping[str, str]:
        """The site of each SAE."""
        return {sae: name for name, each in self.sites.items() for sae in each.saes}

    def kme_of(self, site: str) -> str:
        """Id of a site's KME."""
        return self.sites[site].kme or f"kme-{site}"


def read_map(path: Path) -> NetworkMap:
    """Read a topology file.

    Raises:
        ConfigError: it cannot be read, or does not fit together; all problems are named at once.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError((f"expected a topology file, cannot read {path}: {reason}",)) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError((f"expected a topology file up to 4 MiB, got more in {path}",))
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # tomllib: too many digits, too deep
        raise ConfigError((f"expected TOML in {path}, got: {error}",)) from None
    try:
        return NetworkMap.model_validate(document)
    except ValidationError as error:
        raise ConfigError(tuple(_problems(error, path))) from None


def _problems(error: ValidationError, path: Path) -> list[str]:
    told = []
    for each in error.errors()[:20]:
        name = ".".join(str(part) for part in each["loc"])
        place = f"{name}: " if name else ""
        if each["type"] == "extra_forbidden":
            told.append(f"{place}expected no such name (from {path})")
        elif each["type"] == "missing":
            told.append(f"{place}expected a value, got none (from {path})")
        elif each["type"] == "value_error":
            told.append(f"{place}{each['ctx']['error']} (from {path})")
        else:
            expected = each["msg"].removeprefix("Input should be ")
            told.append(f"{place}expected {expected}, got {each['input']!r:.60} (from {path})")
    return told
