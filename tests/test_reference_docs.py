"""The reference lists every error with its exit code, every kept file, every log event."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bellwire.base.errors import BellwireError

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
ERROR_ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| \S.* \| \S.* \|$", re.MULTILINE)
LOGGED = re.compile(r"(?:log\.(?:debug|info|warning|error|exception)|\btell)\(\s*\"([^\"]+)\"")
KEPT_IN = re.compile(r"folder / \"([\w.-]+)\"")
CLASS = re.compile(r"^ *class (\w+)\(([^)]*)\)", re.MULTILINE)
RENAMED = re.compile(r"\b(\w+) as (\w+)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def errors_of(root: type[BellwireError]) -> Iterator[type[BellwireError]]:
    yield root
    for kind in root.__subclasses__():
        yield from errors_of(kind)


def modules_with_errors() -> set[str]:
    """Modules that define a class below BellwireError: all the others need not be imported."""
    texts = {source: source.read_text() for source in SOURCES}
    defined = {source: CLASS.findall(text) for source, text in texts.items()}
    renamed = {pair for text in texts.values() for pair in RENAMED.findall(text)}
    kinds, before = {"BellwireError"}, 0
    while len(kinds) > before:
        before = len(kinds)
        kinds |= {new for old, new in renamed if old in kinds}
        for classes in defined.values():
            kinds |= {name for name, bases in classes if kinds & set(re.findall(r"\w+", bases))}
    found = [source for source, classes in defined.items() if kinds & {name for name, _ in classes}]
    return {".".join(each.relative_to(ROOT / "src").with_suffix("").parts) for each in found}


def defined_errors() -> set[tuple[str, str, int]]:
    """(package, class, exit code) of every error in the product."""
    for module in modules_with_errors():
        importlib.import_module(module.removesuffix(".__init__"))
    ours = [kind for kind in errors_of(BellwireError) if kind.__module__.startswith("bellwire.")]
    return {(each.__module__.split(".")[1], each.__name__, each.exit_code) for each in ours}


def listed_errors() -> set[tuple[str, str, int]]:
    parts = re.split(r"^## .*`(\w+)`$", (REFERENCE / "errors.md").read_text(), flags=re.MULTILINE)
    return {
        (package, name, int(code))
        for package, below in zip(parts[1::2], parts[2::2], strict=True)
        for name, code in ERROR_ROW.findall(below)
    }


def test_every_error_is_listed_with_its_package_and_exit_code_and_no_other() -> None:
    assert listed_errors() == defined_errors()


def test_every_log_event_is_listed() -> None:
    told = (REFERENCE / "logging.md").read_text()
    events = {event for source in SOURCES for event in LOGGED.findall(source.read_text())}
    assert {event for event in events if f"`{event}`" not in told} == set()
    assert "block decided" in events


def test_every_file_that_a_service_names_in_its_folder_is_listed() -> None:
    told = (REFERENCE / "state.md").read_text()
    keepers = [  # the lab keeps no state
        source for source in SOURCES if "lab" not in source.relative_to(ROOT).parts
    ]
    names = {name for source in keepers for name in KEPT_IN.findall(source.read_text())}
    assert {name for name in names if name not in told} == set()
    assert "keys.sqlite" in names


PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += [
    page for name in ("docs", "examples", "spec") for page in sorted((ROOT / name).rglob("*.md"))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_documentation_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    assert {each for each in targets if not (page.parent / each).exists()} == set()


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    kinds = ("tutorial", "how-to", "reference", "explanation")
    docs = ROOT / "docs"
    pages = {str(page.relative_to(docs)) for kind in kinds for page in (docs / kind).rglob("*.md")}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_every_decision_is_in_the_index_of_decisions() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    names = {page.name for page in folder.iterdir()} - {"README.md"}
    assert {name for name in names if f"({name})" not in index} == set()
