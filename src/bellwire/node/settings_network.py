"""The section `network` of the settings: this site's part in a network of sites."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_NAME = r"^[A-Za-z0-9_-]{1,64}$"
_Name = Annotated[str, Field(pattern=_NAME)]
_Path = Annotated[Path, AfterValidator(Path.expanduser)]
_File = Annotated[_Path | None, Field()]
_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]{1,253}):[0-9]{1,5}"
_HOST_PORT = rf"^({_ADDRESS})?$"
_KME = rf"^(off|{_ADDRESS})$"


class NetworkSettings(BaseModel):
    """This site's part in a network of sites: `bellwire network`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    site: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = Field(
        default="", description="Name of this site in the topology."
    )
    topology: _File = Field(
        default=None, description="File that names all sites and links, the same at all sites."
    )
    nodes: dict[_Name, _Path] = Field(
        default_factory=dict,
        max_length=128,
        description="Folder of the node of each link of this site, by the other site's name.",
    )
    listen: Annotated[str, Field(pattern=_HOST_PORT)] = Field(
        default="",
        description="HOST:PORT to listen on for other sites; empty: this site's address in the "
        "topology.",
    )
    kme: Annotated[str, Field(pattern=_KME)] = Field(
        default="127.0.0.1:8443",
        description="HOST:PORT of this site's KME; off: only carry for others.",
    )
    bus: Annotated[str, Field(pattern=r"^(tcp|(nats|tls)://[^\s@/]+)$", max_length=512)] = Field(
        default="tcp",
        description="How sites talk: tcp, or a NATS server with JetStream, nats://HOST:PORT or "
        "tls://HOST:PORT.",
    )
    bus_authority: _File = Field(
        default=None, description="Certificate of who signs the NATS server's, PEM."
    )
    bus_certificate: _File = Field(
        default=None, description="This site's certificate for the NATS server, PEM."
    )
    bus_key: _File = Field(
        default=None, description="Private key of the certificate: PEM, mode 0600, not encrypted."
    )
    routes: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Node-disjoint routes to split a block over, where there are so many.",
    )
    min_routes: int = Field(
        default=1,
        ge=1,
        le=8,
        description="Fewest routes: with fewer, no key comes about. 2: no single relay knows one.",
    )
    block_bytes: int = Field(
        default=4096,
        ge=256,
        le=65_536,
        description="Length of a relayed block, in bytes: it covers the keys of several requests.",
    )
    patience_s: float = Field(
        default=5.0, gt=0, le=60, description="Time for one attempt to relay a block, in s."
    )

    @model_validator(mode="after")
    def _fewest_is_not_more(self) -> Self:
        if self.min_routes > self.routes:
            raise ValueError(
                f"expected min_routes at most routes, got {self.min_routes} and {self.routes}"
            )
        return self
