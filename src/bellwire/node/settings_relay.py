"""The section `relay` of the settings: where the relay of messages keeps what it took."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bellwire.node.settings_push import NatsFile, nats_server
from bellwire.node.settings_store import store_server


class RelaySettings(BaseModel):
    """The relay of messages, and others that share its store."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    store: Annotated[str, AfterValidator(store_server)] = Field(
        default="",
        description="PostgreSQL server, postgresql://USER@HOST/DATABASE, without a password, whose "
        "relays are one; empty: files of SQLite in the relay's folder.",
    )
    nats: Annotated[str, AfterValidator(nats_server)] = Field(
        default="",
        max_length=512,
        description="NATS server over which they tell each other what came, nats://HOST:PORT or "
        "tls://HOST:PORT; empty: each looks for itself.",
    )
    ca: NatsFile = Field(
        default=None,
        description="Authorities that may vouch for that server, PEM; empty: the system's.",
    )
    credentials: NatsFile = Field(
        default=None, description="Credentials file of our user at that server."
    )
