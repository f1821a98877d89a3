#!/usr/bin/env python
"""The public Python API, as its sources have it: `--write` puts it into docs/reference/api.md.

    .venv/bin/python tools/public_api.py --write

A test compares the page with the sources, so that no name, parameter or type changes unnoticed.
Read from the syntax tree alone: nothing is imported, and every version of Python reads the same.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
PAGE = ROOT / "docs" / "reference" / "api.md"
BEGIN, END = "<!-- api -->", "<!-- end of api -->"

LAB = "bellwire.lab"
MODULES = (
    "bellwire.etsi014.client",
    "bellwire.etsi014.credentials",
    "bellwire.etsi014.errors",
    "bellwire.etsi014.fresh",
    "bellwire.etsi014.messages",
    "bellwire.etsi014.profile",
    "bellwire.etsi014.record",
    "bellwire.etsi014.refresh",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(module: str) -> ast.Module:
    """The syntax tree of a module or package."""
    path = SOURCES.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def listed(module: str) -> list[str]:
    """The names in a module's `__all__`."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise LookupError(f"{module} has no __all__")


def defined(module: str, name: str) -> list[ast.stmt]:
    """Where a name is defined: here, or where it is imported from; overloads are several."""
    body = tree(module).body
    for node in body:
        if isinstance(node, ast.ImportFrom) and any(each.name == name for each in node.names):
            assert node.module is not None
            return defined(node.module, name)
    return [node for node in body if name in _named(node)]


def _named(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | Function):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    return []


def lines(node: ast.stmt) -> Iterator[str]:
    """What can be relied on of a definition."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        yield f"class {node.name}({bases})" if bases else f"class {node.name}"
        for each in node.body:
            yield from (f"    {line}" for line in _member(each))
    elif isinstance(node, Function):
        yield _function(node)
    else:
        (name,) = _named(node)
        yield name


def _member(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, Function):
        if node.name == "__init__" or not node.name.startswith("_"):
            yield _function(node)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if not ast.unparse(target).startswith("_"):
            yield ast.unparse(node)


def _function(node: Function) -> str:
    marks = {ast.unparse(each) for each in node.decorator_list}
    kind = next((f"@{each} " for each in ("property", "classmethod", "staticmethod", "overload")
                 if each in marks), "")  # fmt: skip
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{kind}{word} {node.name}({ast.unparse(node.args)}){returns}"


def public() -> dict[str, list[str]]:
    """Module → what is public in it, a line each."""
    found = {
        LAB: [line for name in listed(LAB) for each in defined(LAB, name) for line in lines(each)]
    }
    for module in MODULES:
        found[module] = [
            line
            for node in tree(module).body
            if any(not name.startswith("_") for name in _named(node))
            for line in lines(node)
        ]
    return found


def table() -> str:
    """The part of the page that is written."""
    parts = []
    for module, said in public().items():
        parts += [f"## `{module}`", "", "```text", *said, "```", ""]
    return "\n".join(parts).rstrip()


def main() -> None:
    """Show or write it."""
    if "--write" not in sys.argv[1:]:
        print(table())
        return
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
