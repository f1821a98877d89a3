#!/usr/bin/env python3
"""Build the documentation as a site, with MkDocs and Material; any warning is a failure.

    .venv/bin/python tools/docs_site.py FOLDER

Pages stay where they are in the checkout, and so their links hold there and on the site: what the
site is made from is a folder of links to them. Its navigation is what docs/index.md lists, in that
order, and a page that is in no list is a warning.
"""

import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.commands.build import build
from mkdocs.config import load_config
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parent.parent
PROJECT = (
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "examples/README.md",
    "vectors/README.md",
)
SOURCES = ("README.md", "LICENSE", "docs", "spec", "examples", *PROJECT[:4], PROJECT[5])
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
GROUP = re.compile(r"^(?:- )?([A-Z][^:,(\[\]\n]*)[^:\[\]\n]*:", re.MULTILINE)
PAGE = re.compile(r"\]\(([^)#:]+\.md)\)")

THEME = {
    "name": "material",
    "font": False,  # pages ask nobody else for anything
    "features": ["navigation.tabs", "navigation.top", "content.code.copy"],
    "palette": [
        {
            "media": f"(prefers-color-scheme: {name})",
            "scheme": scheme,
            "toggle": {"icon": icon, "name": f"Show it {other}"},
        }
        for name, scheme, icon, other in (
            ("light", "default", "material/weather-night", "dark"),
            ("dark", "slate", "material/weather-sunny", "light"),
        )
    ],
}
WARN = {
    "nav": {"omitted_files": "warn", "not_found": "warn", "absolute_links": "warn"},
    "links": {
        "not_found": "warn",
        "anchors": "warn",
        "absolute_links": "warn",
        "unrecognized_links": "warn",
    },
}


def navigation(index: str, decisions: str) -> list[dict[str, Any]]:
    """The site's tabs, with pages by their paths: MkDocs takes their titles from themselves.

    Args:
        index: Text of docs/index.md: a tab for each section, a group for each line before a colon.
        decisions: Text of docs/decisions/README.md.
    """
    tabs: list[dict[str, Any]] = [{"Home": ["README.md", "docs/index.md"]}]
    parts = SECTION.split(index)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        pieces = GROUP.split(text)
        entries: list[Any] = pages_of(pieces[0], "docs")
        for group, below in zip(pieces[1::2], pieces[2::2], strict=True):
            listed = pages_of(below, "docs")
            entries += [{group.strip(): listed}] if listed else []
        tabs.append({title: entries})
    tabs.append({"Decisions": ["docs/decisions/README.md", *pages_of(decisions, "docs/decisions")]})
    return [*tabs, {"Project": list(PROJECT)}]


def pages_of(text: str, folder: str) -> list[str]:
    """Paths of the pages that a text in a folder links to, but for those of `PROJECT`."""
    found = [(ROOT / folder / link).resolve().relative_to(ROOT) for link in PAGE.findall(text)]
    listed = dict.fromkeys(str(path) for path in found)
    return [path for path in listed if path not in PROJECT and not path.endswith("README.md")]


def make(into: Path) -> int:
    """Build the site into a folder, and count its pages.

    Raises:
        mkdocs.exceptions.Abort: there were warnings, which have been printed.
    """
    with tempfile.TemporaryDirectory(prefix="bellwire-docs-") as place:
        pages = Path(place) / "pages"
        for name in SOURCES:
            link = pages / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(ROOT / name)
        settings = Path(place) / "mkdocs.yml"
        settings.write_text("site_name: bellwire\n")
        docs = ROOT / "docs"
        config = load_config(
            str(settings),
            docs_dir=str(pages),
            site_dir=str(into.resolve()),
            strict=True,
            theme=THEME,
            nav=navigation(
                (docs / "index.md").read_text(), (docs / "decisions" / "README.md").read_text()
            ),
            validation=WARN,
            markdown_extensions=[
                {"toc": {"slugify": slugify(case="lower"), "permalink": True}},  # as forges do it
                "tables",
                "pymdownx.highlight",
                "pymdownx.superfences",
            ],
        )
        build(config)
    return len(list(into.rglob("index.html")))


def main() -> int:
    """Build it where the command line says."""
    if len(sys.argv) != 2:
        print("expected a folder for the site", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    print(f"{make(Path(sys.argv[1]))} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
