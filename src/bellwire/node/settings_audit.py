"""The section `audit` of the settings: who had which keys, and what operators did."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class AuditSettings(BaseModel):
    """A record of who asked for keys, what they got, and what operators did; no key bits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool = Field(default=True, description="Whether it is kept.")
    dir: Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Field()] = Field(
        default=None, description="Folder of it; `audit` in the folder of state where none is set."
    )
    max_bytes: int = Field(
        default=64 << 20,
        ge=1 << 16,
        le=1 << 40,
        description="Size at which a file is put aside for a new one.",
    )
    kept: int = Field(
        default=16, ge=1, le=10_000, description="Files that are kept, that in use among them."
    )
