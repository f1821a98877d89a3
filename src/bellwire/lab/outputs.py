"""Table, figure and description of a result, as files of one name in a folder."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from bellwire.base.private import write_whole
from bellwire.lab import tables
from bellwire.lab.errors import FileUnusable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_READABLE = 0o644


def versions() -> dict[str, str]:
    """Of what a figure depends on."""
    names = ("bellwire", "numpy", "numba", "matplotlib")
    return {"python": python_version(), **{name: version(name) for name in names}}


def write_table(folder: Path, name: str, kind: type[Any], rows: Sequence[Any]) -> list[Path]:
    """Write NAME.csv and NAME.parquet; the folder is there.

    Raises:
        PathUnusable: a file cannot be written.
    """
    text = tables.header(kind) + "".join(map(tables.line, rows))
    contents = {
        folder / f"{name}.csv": text.encode(),
        folder / f"{name}.parquet": tables.parquet(kind, rows),
    }
    for path, content in contents.items():
        write_whole(path, content, _READABLE, replace=True)
    return list(contents)


def write_outputs(
    folder: Path,
    name: str,
    *,
    kind: type[Any],
    rows: Sequence[Any],
    figure: "Figure",
    document: Mapping[str, Any],
) -> list[Path]:
    """Write NAME.csv, .parquet, .svg, .png and .json, the last with the versions used.

    Args:
        folder: Made if it is missing.
        name: Of the files.
        kind: Dataclass of the rows.
        rows: The table.
        figure: The picture.
        document: The description; plain values.

    Raises:
        PathUnusable, FileUnusable: the folder cannot be made or written.
    """
    from bellwire.base.style import save  # noqa: PLC0415 - Matplotlib takes a second to load

    described = json.dumps({**document, "versions": versions()}, indent=1, ensure_ascii=False)
    path = folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = write_table(folder, name, kind, rows)
        write_whole(path, described.encode() + b"\n", _READABLE, replace=True)
        return [*written, path, *save({name: figure}, folder)]
    except OSError as error:
        raise FileUnusable(folder, "to write into", error.strerror or str(error)) from error
