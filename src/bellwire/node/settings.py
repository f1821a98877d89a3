"""The settings: plain values with bounds, and where each of them came from.

Later wins: default, one TOML file, environment (`BELLWIRE_SECTION__KEY`), command line. Unknown
names are refused wherever they stand, because a misspelt bound is a bound that does not hold. This
is the only reader of the environment; other packages get values, in their own types, from `node`.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from platformdirs import user_config_path, user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from bellwire.base.decoys import MAX_MEAN_PHOTONS, Decoys
from bellwire.base.limits import (
    MAX_FIBRE_KM,
    MAX_IN_FLIGHT,
    MAX_INSERTION_LOSS_DB,
    MAX_LOSS_DB_PER_KM,
    MAX_PULSES,
)
from bellwire.node.errors import ConfigError
from bellwire.node.settings_audit import AuditSettings
from bellwire.node.settings_console import ConsoleSettings
from bellwire.node.settings_discovery import DiscoverySettings
from bellwire.node.settings_kme import KmeSettings
from bellwire.node.settings_ledger import LedgerSettings
from bellwire.node.settings_network import NetworkSettings
from bellwire.node.settings_push import PushSettings
from bellwire.node.settings_relay import RelaySettings
from bellwire.node.settings_store import store_server

PREFIX = "BELLWIRE_"
NOT_SETTINGS = frozenset({"BELLWIRE_DEBUG"})
"""Variables that are read before there are settings."""

MAX_FILE_BYTES = 1 << 20

Values = dict[str, dict[str, Any]]

_SECTION = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
Port = Annotated[int, Field(ge=0, le=65535)]
OptionalFile = Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Field()]
Host = Annotated[str, Field(min_length=1, max_length=253)]


def _fingerprint(text: str) -> str:
    if text and not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError(f"expected 64 hexadecimal digits, got {text!r:.70}")
    return text


def _kek_source(text: str) -> str:
    from bellwire.crypto.kek.errors import KekUnusable  # noqa: PLC0415 - other settings go without
    from bellwire.crypto.kek.sources import parse_source  # noqa: PLC0415

    try:
        parse_source(text, Path())
    except KekUnusable as error:
        raise ValueError(str(error)) from None
    return text


def _protection(text: str) -> str:
    from bellwire.crypto.kek.errors import KekUnusable  # noqa: PLC0415 - other settings go without
    from bellwire.iot.keeping import parse_protection  # noqa: PLC0415

    try:
        parse_protection(text, Path())
    except KekUnusable as error:
        raise ValueError(str(error)) from None
    return text


def credentials_folder() -> Path | None:
    """Where systemd lays this service's credentials; None outside of such a service."""
    name = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return Path(name) if name else None


class Origin(StrEnum):
    """Where a value came from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


class StateSettings(BaseModel):
    """Where everything that is kept lies."""

    model_config = _SECTION

    dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=lambda: user_data_path("bellwire", appauthor=False),
        description="Folder of all state, with one folder per service and site below it.",
    )


class KekSettings(BaseModel):
    """The key-encryption key of each node's store."""

    model_config = _SECTION

    source: Annotated[str, AfterValidator(_kek_source)] = Field(
        default="file",
        max_length=4096,
        description="Where it comes from: file[:FOLDER], passphrase[:FILE], passphrase:fd:N, "
        "keyring, or a token, pkcs11:….",
    )


class StoreSettings(BaseModel):
    """The database of each node's key store."""

    model_config = _SECTION

    url: Annotated[str, AfterValidator(store_server)] = Field(
        default="",
        description="PostgreSQL server, postgresql://USER@HOST/DATABASE, without a password; "
        "empty: a file of SQLite in the node's folder.",
    )


class LinkSettings(BaseModel):
    """The simulated fibre and detectors."""

    model_config = _SECTION

    fibre_km: float = Field(
        default=0.0, ge=0, le=MAX_FIBRE_KM, description="Length of the fibre, in km."
    )
    loss_db_per_km: float = Field(
        default=0.2,
        ge=0,
        le=MAX_LOSS_DB_PER_KM,
        description="Loss of the fibre, in dB/km; 0.2 at 1550 nm.",
    )
    insertion_loss_db: float = Field(
        default=0.0,
        ge=0,
        le=MAX_INSERTION_LOSS_DB,
        description="Loss of everything else between source and detectors, in dB.",
    )
    detector_efficiency: float = Field(
        default=1.0, gt=0, le=1, description="Chance that a photon which arrives makes a click."
    )
    dark_count_probability: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Chance of a click without a photon, per detector and slot.",
    )
    misalignment: float = Field(
        default=0.02,
        ge=0,
        le=0.5,
        description="Chance that the optics turn a bit: the QBER without Eve.",
    )
    dead_gates: int = Field(
        default=0, ge=0, le=10**9, description="Slots that detectors are blind after a click."
    )
    afterpulse: float = Field(
        default=0.0, ge=0, lt=1, description="Chance that a click releases another one later."
    )
    afterpulse_gates: float = Field(
        default=100.0,
        gt=0,
        le=1e9,
        description="Decay time of what releases it, in slots behind the blind ones.",
    )


class DistillSettings(BaseModel):
    """How detections become secret bits."""

    model_config = _SECTION

    protocol: Literal["e91", "bbm92", "bb84", "decoy-bb84"] = Field(
        default="e91", description="How photons become correlated bits."
    )
    source: Annotated[str, Field(pattern=r"^(link|timetags:.+|etsi014)$", max_length=4096)] = Field(
        default="link",
        description="What blocks are made from: link, timetags:DIR (this site's recording), or "
        "etsi014, a vendor's box.",
    )
    pulses: int = Field(
        default=200_000, ge=1_000, le=MAX_PULSES, description="Pulses, or pairs, of one block."
    )
    sample_share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the sifted bits that BB84 and BBM92 compare in the open and give up.",
    )
    rectilinear: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Probability of the rectilinear basis on both sides, in BB84 and BBM92.",
    )
    epsilon: float = Field(
        default=1e-10,
        ge=1e-20,
        le=1e-3,
        description="Chance, over all steps, that a block's claim is wrong.",
    )
    target_stock_bits: int = Field(
        default=100_000,
        ge=0,
        le=1 << 40,
        description="Stock to distil up to, in bits; 0 means only on demand.",
    )
    reconciliation: Literal["auto", "cascade", "ldpc"] = Field(
        default="auto",
        description="How keys are made equal: cascade, ldpc for few rounds, or auto, which Alice's "
        "node chooses by the latency of the channel.",
    )
    blocks_in_flight: int = Field(
        default=2,
        ge=1,
        le=MAX_IN_FLIGHT,
        description="Blocks of the simulated link that may be under way at once.",
    )
    probe_interval_s: float = Field(
        default=1.0,
        gt=0,
        le=3600,
        description="Time between probe blocks while nothing is distilled, in s.",
    )
    probe_pulses: int = Field(
        default=20_000, ge=1_000, le=MAX_PULSES, description="Pulses, or pairs, of a probe block."
    )


class WeakSettings(BaseModel):
    """The pulses of Alice's laser in decoy-bb84; both nodes must have the same."""

    model_config = _SECTION

    signal: float = Field(
        default=0.5, gt=0, le=MAX_MEAN_PHOTONS, description="Mean photons of a signal pulse."
    )
    decoy: float = Field(
        default=0.2, gt=0, le=MAX_MEAN_PHOTONS, description="Mean photons of a decoy pulse."
    )
    vacuum: float = Field(
        default=0.0, ge=0, le=MAX_MEAN_PHOTONS, description="Mean photons of a vacuum decoy."
    )
    decoy_share: float = Field(
        default=0.4, gt=0, lt=1, description="Share of the pulses that are decoys."
    )
    vacuum_share: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="Share of the pulses that are vacuum decoys; the rest are signals.",
    )
    rectilinear: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="Probability of the rectilinear basis on both sides; the rarer basis is "
        "compared.",
    )

    @model_validator(mode="after")
    def _decoys_can_be_sent(self) -> Self:
        _ = self.decoys
        return self

    @property
    def decoys(self) -> Decoys:
        """Intensities and shares as both nodes and the link tell each other."""
        # The rounded share is the same number at both nodes, whoever adds it up.
        signal_share = round(1.0 - self.decoy_share - self.vacuum_share, 12)
        return Decoys(
            (self.signal, self.decoy, self.vacuum),
            (signal_share, self.decoy_share, self.vacuum_share),
        )


class Etsi014Settings(BaseModel):
    """The vendor's key server at this node's site, where `distill.source` is `etsi014`."""

    model_config = _SECTION

    url: Annotated[str, Field(max_length=2048)] = Field(
        default="", description="Its address, https://HOST:PORT."
    )
    own_sae: Annotated[str, Field(max_length=256)] = Field(
        default="", description="This node's SAE id there, the name in its certificate."
    )
    peer_sae: Annotated[str, Field(max_length=256)] = Field(
        default="", description="SAE id of the peer's node."
    )
    certificate: OptionalFile = Field(
        default=None, description="This node's certificate for it, PEM."
    )
    key: OptionalFile = Field(
        default=None, description="Private key of the certificate: PEM, mode 0600, not encrypted."
    )
    authority: OptionalFile = Field(
        default=None, description="Certificate of who signs the key server's, PEM."
    )
    block_bits: int = Field(
        default=16_384,
        ge=4_096,
        le=1 << 20,
        description="Key that one block draws at least, in bits; 512 of it pay for its tags.",
    )
    timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Time for one answer of it, in s."
    )


class RandomSettings(BaseModel):
    """Where a node's random bytes come from."""

    model_config = _SECTION

    source: Annotated[str, Field(pattern=r"^(os|device:.+)$", max_length=4096)] = Field(
        default="os",
        description="What seeds choices, tickets, nonces and hash seeds: os, or device:PATH, a "
        "hardware generator beside it.",
    )
    entropy_per_byte: float = Field(
        default=1.0,
        ge=0.5,
        le=8,
        description="Min-entropy that the device states for a raw byte, in bits.",
    )
    false_alarm_log2: int = Field(
        default=40,
        ge=20,
        le=40,
        description="k: a health test fails on a good device with a chance of at most 1/2^k.",
    )
    reseed_s: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="Age at which a seed from the device is replaced, in s; 0: for every draw.",
    )
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="Time in which the device must give what it is asked for, at most 4096 bytes, "
        "in s.",
    )


class StatusSettings(BaseModel):
    """When a link counts as GREEN, YELLOW or RED."""

    model_config = _SECTION

    yellow_qber: float = Field(
        default=0.05, gt=0, le=0.5, description="Mean QBER from which it is YELLOW."
    )
    red_qber: float = Field(default=0.11, gt=0, le=0.5, description="QBER from which it is RED.")
    chsh_floor: float = Field(
        default=2.2,
        ge=2,
        lt=2 * 2**0.5,
        description="S below which E91 is RED; 2 is what no entanglement gives.",
    )
    window: int = Field(
        default=5, ge=1, le=1000, description="Blocks that the status looks back upon."
    )
    recovery_blocks: int = Field(
        default=3, ge=1, le=1000, description="Good blocks in a row that end RED."
    )
    stale_after_s: float = Field(
        default=3.0,
        gt=0,
        le=86_400,
        description="Time without a block after which nothing is known, in s.",
    )

    @model_validator(mode="after")
    def _yellow_comes_first(self) -> Self:
        if self.yellow_qber > self.red_qber:
            raise ValueError(
                f"expected yellow_qber at most red_qber, got {self.yellow_qber} and {self.red_qber}"
            )
        return self


class FirstContactSettings(BaseModel):
    """How two nodes that never met come to their first authentication key."""

    model_config = _SECTION

    method: Literal["preplaced", "signed"] = Field(
        default="preplaced",
        description="By a pre-placed key that is brought to both sites, or by a signed exchange.",
    )
    peer_identity: Annotated[str, AfterValidator(_fingerprint)] = Field(
        default="", description="Fingerprint of the peer's identity, 64 hexadecimal digits."
    )


class IdentitySettings(BaseModel):
    """How the long-term keys of devices, clouds and their authority rest."""

    model_config = _SECTION

    protection: Annotated[str, AfterValidator(_protection)] = Field(
        default="plain",
        max_length=4096,
        description="plain, or what wraps them: file:FOLDER, passphrase[:FILE], passphrase:fd:N, "
        "keyring, or a token, pkcs11:….",
    )


class AddressSettings(BaseModel):
    """Where services listen and are found."""

    model_config = _SECTION

    classical_host: Host = Field(default="127.0.0.1", description="Host of the classical channel.")
    classical_port: Port = Field(
        default=8451, description="Port of the classical channel; 0 takes any free one."
    )
    kme_host: Host = Field(default="127.0.0.1", description="Host of this site's KME.")
    kme_a_port: Port = Field(
        default=8441, description="Port of site a's KME; 0 takes any free one."
    )
    kme_b_port: Port = Field(
        default=8442, description="Port of site b's KME; 0 takes any free one."
    )
    metrics_port: Port = Field(
        default=0, description="Port on 127.0.0.1 for health and metrics without TLS; 0 for none."
    )
    cloud_host: Host = Field(default="127.0.0.1", description="Host of the cloud service.")
    cloud_port: Port = Field(
        default=8470, description="Port of the cloud service; 0 takes any free one."
    )
    console_host: Host = Field(default="127.0.0.1", description="Host of this site's console.")
    console_a_port: Port = Field(
        default=8000, description="Port of site a's console; 0 takes any free one."
    )
    console_b_port: Port = Field(
        default=8001, description="Port of site b's console; 0 takes any free one."
    )
    relay_host: Host = Field(default="127.0.0.1", description="Host of the relay of messages.")
    relay_port: Port = Field(
        default=8765, description="Port of the relay of messages; 0 takes any free one."
    )
    ledger_host: Host = Field(default="127.0.0.1", description="Host of the log of `up`.")
    ledger_port: Port = Field(
        default=8480, description="Port of the log of `up`; 0 takes any free one."
    )
    witness_host: Host = Field(default="127.0.0.1", description="Host of the witnesses of `up`.")
    witness_a_port: Port = Field(
        default=8481, description="Port of site a's witness; 0 takes any free one."
    )
    witness_b_port: Port = Field(
        default=8482, description="Port of site b's witness; 0 takes any free one."
    )
    admission_host: Host = Field(
        default="127.0.0.1", description="Host of the server of admission of `up`."
    )
    admission_port: Port = Field(
        default=8490, description="Port of the server of admission of `up`; 0 takes any free one."
    )


class LogSettings(BaseModel):
    """What is logged to standard error, and how."""

    model_config = _SECTION

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important events that are logged."
    )
    format: Literal["console", "json"] = Field(
        default="console", description="Lines for people, or one JSON document per line."
    )


class Settings(BaseSettings):
    """All settings of one process; made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    state: StateSettings = Field(default_factory=StateSettings)
    kek: KekSettings = Field(default_factory=KekSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    link: LinkSettings = Field(default_factory=LinkSettings)
    distill: DistillSettings = Field(default_factory=DistillSettings)
    weak: WeakSettings = Field(default_factory=WeakSettings)
    etsi014: Etsi014Settings = Field(default_factory=Etsi014Settings)
    kme: KmeSettings = Field(default_factory=KmeSettings)
    push: PushSettings = Field(default_factory=PushSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    random: RandomSettings = Field(default_factory=RandomSettings)
    status: StatusSettings = Field(default_factory=StatusSettings)
    first_contact: FirstContactSettings = Field(default_factory=FirstContactSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    addresses: AddressSettings = Field(default_factory=AddressSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    discovery: DiscoverySettings = Field(default_factory=DiscoverySettings)

    _origins: dict[tuple[str, str], Origin] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(cls, *_args: Any, **sources: Any) -> tuple[Any, ...]:
        """Only what `load` hands over: it reads the sources itself, to know each value's origin."""
        return (sources["init_settings"],)


class Described(NamedTuple):
    """One setting, for people."""

    name: str
    value: object
    origin: Origin
    explanation: str


def default_file() -> Path:
    """The settings file that is used when it exists and no other is named."""
    return user_config_path("bellwire", appauthor=False) / "bellwire.toml"


def load(
    config: Path | None = None, overrides: Mapping[str, Mapping[str, object | None]] | None = None
) -> Settings:
    """Read the settings.

    Args:
        config: The file named on the command line; None takes `default_file()` if it is there.
        overrides: Sections of values from the command line; None among them means not given.

    Raises:
        ConfigError: the file cannot be read, a name is unknown or a value is out of bounds. All
            problems are named at once.
    """
    file = config if config is not None else default_file()
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in (overrides or {}).items()
    }
    layers: list[tuple[Origin, Values]] = [
        (Origin.FILE, _read_file(file, required=config is not None)),
        (Origin.ENVIRONMENT, _read_environment()),
        (Origin.COMMAND_LINE, given),
    ]
    merged: Values = {}
    origins: dict[tuple[str, str], Origin] = {}
    for origin, layer in layers:
        for section, values in layer.items():
            merged.setdefault(section, {}).update(values)
            origins |= {(section, key): origin for key in values}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(tuple(_problems(error, origins, file))) from None
    settings._origins.update(origins)
    return settings


def describe(settings: Settings) -> list[Described]:
    """Every setting with its value, where that came from and what it is for, in order."""
    return [
        Described(
            f"{section}.{key}",
            getattr(values, key),
            settings._origins.get((section, key), Origin.DEFAULT),
            field.description or "",
        )
        for section, values in settings
        for key, field in type(values).model_fields.items()
    ]


def _sections() -> dict[str, list[str]]:
    """Names of all settings by section."""
    names = {}
    for section, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        names[section] = list(field.annotation.model_fields)
    return names


def _read_file(path: Path, *, required: bool) -> Values:
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if not required:
            return {}
        raise ConfigError((f"expected a settings file, got no file at {path}",)) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError((f"expected a settings file, cannot read {path}: {reason}",)) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError((f"expected a settings file up to 1 MiB, got more in {path}",))
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # tomllib: too many digits, too deep
        raise ConfigError((f"expected TOML in {path}, got: {error}",)) from None
    sections = _sections()
    problems = [
        f"{name}: expected a section, one of {', '.join(sections)}{_near(name, sections)} "
        f"(from {path})"
        if name not in sections
        else f"{name}: expected a section [{name}], got a single value (from {path})"
        for name, values in document.items()
        if name not in sections or not isinstance(values, dict)
    ]
    if problems:
        raise ConfigError(tuple(problems))
    return document


def _read_environment() -> Values:
    sections = _sections()
    known = {
        f"{PREFIX}{section}__{key}".upper() for section, keys in sections.items() for key in keys
    }
    problems = [
        f"{name}: expected {PREFIX}SECTION__KEY of a known setting{_near(name, known)}"
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known | NOT_SETTINGS
    ]
    if problems:
        raise ConfigError(tuple(problems))
    values: Values = EnvSettingsSource(Settings)()
    return values


def _problems(
    error: ValidationError, origins: Mapping[tuple[str, str], Origin], file: Path
) -> list[str]:
    sections = _sections()
    told = []
    for each in error.errors():
        section, *rest = (str(part) for part in each["loc"])
        key = rest[0] if rest else ""
        name = f"{section}.{key}" if key else section
        came = {
            Origin.FILE: str(file),
            Origin.ENVIRONMENT: f"{PREFIX}{section}__{key}".upper(),
            Origin.COMMAND_LINE: "the command line",
        }.get(origins.get((section, key), Origin.DEFAULT))
        suffix = f" (from {came})" if came else ""
        if each["type"] == "extra_forbidden":
            # The value stays out of the message: nobody knows what a name we do not know holds.
            told.append(f"{name}: unknown setting{_near(key, sections.get(section, []))}{suffix}")
        elif each["type"] == "value_error":
            told.append(f"{name}: {each['ctx']['error']}{suffix}")
        else:
            expected = each["msg"].removeprefix("Input should be ")
            told.append(f"{name}: expected {expected}, got {each['input']!r:.60}{suffix}")
    return told


def _near(name: str, known: Any) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
