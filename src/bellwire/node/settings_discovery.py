"""The section `discovery` of the settings: nodes that find each other on the local network."""

from pydantic import BaseModel, ConfigDict, Field


class DiscoverySettings(BaseModel):
    """Nodes that find each other on the local network, by multicast DNS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False,
        description="Whether site b's node announces itself, and site a's looks for it.",
    )
