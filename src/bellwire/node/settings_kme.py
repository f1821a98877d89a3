"""The section `kme` of the settings: a site's keys over HTTPS (ETSI GS QKD 014)."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bellwire.keys.kme import MAX_KEY_BYTES, MAX_SAE_ID

_Name = Annotated[str, Field(min_length=1, max_length=MAX_SAE_ID)]
_File = Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Field()]


class KmeSettings(BaseModel):
    """Keys for SAEs over HTTPS: ETSI GS QKD 014."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[str, Field(max_length=MAX_SAE_ID)] = Field(
        default="", description="Id of this site's KME; kme-a or kme-b where it is empty."
    )
    hosts: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(
        default=(),
        max_length=32,
        description="Names and addresses under which it is reached, beside those of this machine.",
    )
    key_bits: int = Field(
        default=256,
        ge=8,
        le=8 * MAX_KEY_BYTES,
        multiple_of=8,
        description="Size of a key where none is asked for, in bits.",
    )
    max_keys_per_request: int = Field(
        default=1024, ge=1, le=1024, description="Keys that one request may ask for."
    )
    time_to_live_s: float = Field(
        default=86_400.0,
        ge=1,
        le=31_536_000,
        description="Age at which keys that no slave fetched are given up, in s.",
    )
    requests_per_s: float = Field(
        default=20_000.0,
        gt=0,
        le=1_000_000,
        description="Requests that one SAE may make a second, in the mean.",
    )
    bits_per_day: int = Field(
        default=0,
        ge=0,
        le=1 << 50,
        description="Key that one master may get a day, in bits; 0: any.",
    )
    quotas: dict[_Name, Annotated[int, Field(ge=0, le=1 << 50)]] = Field(
        default_factory=dict,
        max_length=10_000,
        description="Key that a master may get a day, in bits, by SAE; 0: any.",
    )
    kept_bits: int = Field(
        default=0,
        ge=0,
        le=1 << 40,
        description="Stock below which only masters with priority get new keys, in bits.",
    )
    priority: tuple[_Name, ...] = Field(
        default=(), max_length=10_000, description="Masters that may use the last of the stock."
    )
    sessions: int = Field(
        default=16, ge=0, le=256, description="Sessions of this site's masters at once; 0: none."
    )
    sessions_per_sae: int = Field(
        default=4, ge=1, le=256, description="Sessions of one master at once."
    )
    sessions_per_pair: int = Field(
        default=2, ge=1, le=256, description="Sessions of one master with one slave at once."
    )
    operators: tuple[_Name, ...] = Field(
        default=(), max_length=256, description="SAEs that may see metrics."
    )
    skip: dict[_Name, Annotated[tuple[_Name, ...], Field(min_length=1, max_length=1024)]] = Field(
        default_factory=dict,
        max_length=10_000,
        description="SAEs that may ask by SKIP as well, and for each the SAEs at the other ends.",
    )
    relay_places: Annotated[str, Field(max_length=4096)] = Field(
        default="",
        description="Notices of a relay that moves, a file or URL, for guards of small routers.",
    )
    relay_id: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")] = Field(
        default="", description="Who must have signed them: the relay's id, 64 hexadecimal digits."
    )
    relay_grace_s: float = Field(
        default=5.0,
        ge=0,
        le=600,
        description="How long those guards let the relay's old places pass after a move, in s.",
    )
    authority: _File = Field(
        default=None,
        description="An operator's own authority for SAEs, beside the site's, PEM.",
    )
    authority_saes: tuple[_Name, ...] = Field(
        default=(), max_length=10_000, description="SAEs that it may vouch for."
    )
    authority_uri: bool = Field(
        default=False,
        description="An SAE's id is the URI in its certificate, and not the common name.",
    )
