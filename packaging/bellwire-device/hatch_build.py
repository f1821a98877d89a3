"""Puts into the wheel what the device's program imports, sooner or later, and no more."""

import ast
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # whoever only asks for the modules has no need of it
    BuildHookInterface = object

SOURCE = Path(__file__).resolve().parents[2] / "src"
ROOT = "bellwire.cli.device_entry"


def modules() -> dict[str, Path]:
    """The device's modules, by name, with their files."""
    found: dict[str, Path] = {}
    ahead = [ROOT]
    while ahead:
        name = ahead.pop()
        file = _file(name)
        if name in found or file is None:
            continue
        found[name] = file
        ahead += [name.rpartition(".")[0], *_imported(file)]
    return found


def _file(name: str) -> Path | None:
    path = SOURCE.joinpath(*name.split("."))
    package, module = path / "__init__.py", path.with_suffix(".py")
    return package if package.is_file() else module if name and module.is_file() else None


def _imported(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return [name for name in names if name.split(".")[0] == "bellwire"]


class DeviceHook(BuildHookInterface):  # type: ignore[misc, valid-type] # hatchling may be missing
    """The hook that hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files, and where in the wheel they go."""
        build_data["force_include"][str(SOURCE.parent / "LICENSE")] = "bellwire/LICENSE"
        for file in modules().values():
            build_data["force_include"][str(file)] = str(file.relative_to(SOURCE))
