"""The docstring of a public function names the errors that the function itself raises.

It may leave that to another docstring: where it says "as `X`" or "see `X`", what X says counts as
well. So does what a base class says of the same method, and "every call raises …" of its own class.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.examples import ROOT

SOURCES = ROOT / "src"
COMMANDS = "bellwire/cli/"
BUGS = {"AssertionError", "NotImplementedError"}
"""Never meant for who calls."""

REFERENCE = re.compile(r"\b(?:as|see)\s(?:the function\s)?`([\w.]+)`", re.IGNORECASE)
EVERY_CALL = re.compile(r"\b(?:each|every) call raises ([^.]+)", re.IGNORECASE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Documented:
    """A function or class with its docstring.

    Attributes:
        file: Where it is, below `SOURCES`.
        owner: The class that it is a method of, if it is one.
        public: No name on the way to it begins with an underscore.
    """

    file: str
    node: Function | ast.ClassDef
    owner: ast.ClassDef | None
    public: bool

    @property
    def name(self) -> str:
        return self.node.name if self.owner is None else f"{self.owner.name}.{self.node.name}"

    @property
    def text(self) -> str:
        said = ast.get_docstring(self.node) or ""
        if self.owner is None:
            return said
        above = ast.get_docstring(self.owner) or ""
        return said + (
            above if self.node.name == "__init__" else "".join(EVERY_CALL.findall(above))
        )

    @property
    def is_help(self) -> bool:
        """Whether a command shows the docstring to who uses it, for whom an error is a message."""
        if self.owner is not None or not self.file.startswith(COMMANDS):
            return False
        marks = [ast.unparse(mark) for mark in getattr(self.node, "decorator_list", [])]
        made = any(re.match(r"\w+\.(command|callback)\(", mark) for mark in marks)
        return made or self.node.name == "command"


def documented(file: str, source: str) -> Iterator[Documented]:
    """Every function and class of a module, but those inside functions."""

    def below(
        body: list[ast.stmt], owner: ast.ClassDef | None, public: bool
    ) -> Iterator[Documented]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                shown = public and not node.name.startswith("_")
                yield Documented(file, node, None, shown)
                yield from below(node.body, node, shown)
            elif isinstance(node, Function):
                shown = public and (node.name == "__init__" or not node.name.startswith("_"))
                yield Documented(file, node, owner, shown)

    yield from below(ast.parse(source).body, None, True)


def raised(function: Function) -> set[str]:
    """Names of the errors that a function raises itself, not by what it calls."""
    names, left = set(), list[ast.AST](function.body)
    while left:
        node = left.pop()
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            names |= set(_kinds(node.exc))
        left += ast.iter_child_nodes(node)
    return names - BUGS


def _kinds(error: ast.expr) -> Iterator[str]:
    """The classes of what is raised, as far as it is made on the spot."""
    match error:
        case ast.IfExp(body=one, orelse=other):
            yield from (*_kinds(one), *_kinds(other))
        case ast.Call(func=called):
            yield from _kinds(called)
        case ast.Name(id=name) | ast.Attribute(attr=name) if (
            name[0].isupper() and not name.isupper()
        ):
            yield name
        case ast.Attribute(value=value):  # a class method that makes one
            yield from _kinds(value)


def silent(sources: Mapping[str, str]) -> list[str]:
    """Each public function that does not say what it raises, with what it leaves out."""
    known: dict[str, list[Documented]] = {}
    for file, source in sources.items():
        for each in documented(file, source):
            known.setdefault(each.name, []).append(each)

    def nearest(name: str, file: str) -> str:
        """What the docstring of that name says; of several, the one closest to a file."""
        found = known.get(name, [])
        return max(found, key=lambda each: _shared(each.file, file)).text if found else ""

    def said(of: Documented) -> str:
        own = "" if of.owner is None else of.owner.name + "."
        bases = [] if of.owner is None else [ast.unparse(base) for base in of.owner.bases]
        texts = [of.text, *(nearest(f"{base}.{of.node.name}", of.file) for base in bases)]
        for other in REFERENCE.findall(of.text):
            texts += [nearest(f"{before}{other}", of.file) for before in ("", own)]
            texts.append(nearest(f"{other}.{of.node.name}", of.file))
        return " ".join(texts)

    found = []
    for each in (each for many in known.values() for each in many):
        if not isinstance(each.node, Function) or not each.public or each.is_help:
            continue
        missing = raised(each.node) - set(re.findall(r"\w+", said(each)))
        if each.file.startswith(COMMANDS):
            missing -= {"UsageError"}  # what every command says of words that it does not take
        if missing:
            found.append(
                f"{each.file}:{each.node.lineno} {each.name}: {', '.join(sorted(missing))}"
            )
    return sorted(found)


def _shared(one: str, other: str) -> int:
    """Folders, and perhaps the file, that two paths have in common."""
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), one.count("/") + 1)


def test_every_public_function_names_the_errors_that_it_raises() -> None:
    paths: list[Path] = sorted(SOURCES.rglob("*.py"))
    found = silent({str(path.relative_to(SOURCES)): path.read_text("utf-8") for path in paths})
    assert not found, "\n".join(found)


CALLED = """
class Shelf:
    def take(self, number):
        '''A book; NoBook if there is none.'''
"""

SILENT = """
def read(path):
    '''What a file has; FileMissing if it is not there.'''
    if not path:
        raise PathEmpty("expected a path")
    raise FileMissing.at(path) if path == "x" else errors.FileDamaged


class Box(Shelf):
    '''Has books; every call raises BoxShut where it is shut.'''

    def __init__(self, size):
        raise ValueError(size)

    def take(self, number):
        '''As the shelf.'''
        raise NoBook(number) if self.open else BoxShut()

    def give(self, book):
        '''As `Shelf.take`, the other way.'''

        def later():
            raise AttributeError

        raise NoBook(book) from BoxFull()

    def burn(self):
        raise BoxFull()

    def _hidden(self):
        raise BoxFull()
"""


def test_the_check_finds_what_a_docstring_leaves_out_and_follows_where_it_points() -> None:
    assert silent({"bellwire/shelf.py": CALLED, "bellwire/box.py": SILENT}) == [
        "bellwire/box.py:12 Box.__init__: ValueError",
        "bellwire/box.py:2 read: FileDamaged, PathEmpty",
        "bellwire/box.py:27 Box.burn: BoxFull",
    ]


HELP = """
@app.command("add")
def add(name):
    '''Add somebody.'''
    raise NameTaken(name)


def command():
    '''Do it.'''
    raise NameTaken


def parse(name):
    '''A name.'''
    raise UsageError(name) if name else NameTaken(name)
"""


def test_help_of_commands_need_not_name_errors_though_what_commands_call_does() -> None:
    assert silent({"bellwire/cli/people.py": HELP}) == [
        "bellwire/cli/people.py:13 parse: NameTaken"
    ]
    assert silent({"bellwire/people.py": HELP}) == [
        "bellwire/people.py:13 parse: NameTaken, UsageError",
        "bellwire/people.py:3 add: NameTaken",
        "bellwire/people.py:8 command: NameTaken",
    ]
