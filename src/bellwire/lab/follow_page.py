"""A followed block's story as Markdown, with its pictures beside it."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from bellwire.base.private import write_whole
from bellwire.lab.errors import FileUnusable
from bellwire.lab.follow import Followed
from bellwire.lab.follow_story import Section, Table, story

WIDTH = 118
_READABLE = 0o644


def markdown(sections: Iterable[Section], *, level: int, figures: Mapping[str, str]) -> str:
    """Sections as Markdown.

    Args:
        sections: Of `follow_story.story`, or some of them.
        level: Of their headings.
        figures: Path of each picture by its name; those without are left out.
    """
    return "\n".join(_section(each, level, figures) for each in sections)


def _section(section: Section, level: int, figures: Mapping[str, str]) -> str:
    blocks = [f"{'#' * level} {section.title}"]
    blocks += [table(each) if isinstance(each, Table) else wrap(each) for each in section.text]
    if section.figure is not None and section.figure[0] in figures:
        name, shown = section.figure
        blocks.append(f"![{shown}]({figures[name]})")
    return "\n\n".join(blocks) + "\n"


def wrap(paragraph: str) -> str:
    """A paragraph in lines."""
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(shown: Table) -> str:
    """A table, numbers to the right."""
    rules = ["---" if at < shown.words else "---:" for at in range(len(shown.heads))]
    rows = (shown.heads, rules, *shown.rows)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write(followed: Followed, path: Path) -> list[Path]:
    """Write the page, and `NAME-bits`, `NAME-rounds` as SVG and PNG beside it.

    Raises:
        FileUnusable, PathUnusable: a file cannot be written.
    """
    from bellwire.base.style import save  # noqa: PLC0415 - Matplotlib takes a second to load
    from bellwire.lab.follow_figure import figures  # noqa: PLC0415

    drawn = {f"{path.stem}-{name}": each for name, each in figures(followed).items()}
    places = {name.removeprefix(f"{path.stem}-"): f"{name}.svg" for name in drawn}
    page = f"# One block of {followed.protocol.upper()}\n\n"
    page += markdown(story(followed), level=2, figures=places)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, page.encode(), _READABLE, replace=True)
        return [path, *save(drawn, path.parent)]
    except OSError as error:
        raise FileUnusable(path, "to write", error.strerror or str(error)) from error
