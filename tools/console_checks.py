"""What must hold of the console's pages: form, types, tests, size, and a client like the server.

.venv/bin/python tools/console_checks.py         the checks, as `./bellwire check` runs them
.venv/bin/python tools/console_checks.py --api   writes the client anew from the server's OpenAPI
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import console_build
from tools.console_build import BIOME, OPENAPI, SOURCES, STATIC, TSC, VITEST, BuildError, Node

CLIENT = SOURCES / "src" / "api" / "schema.d.ts"
BUDGET_BYTES = 200_000
"""Of the scripts, compressed, that the shell and the first page need."""
FIRST_PAGE = "src/features/network/NetworkPage.tsx"


def check(report: Path) -> str:
    """Run everything; what there is to say of the size.

    Args:
        report: Where the numbers of the tests go, as JUnit.

    Raises:
        BuildError: something does not hold.
    """
    node = console_build.need_node()
    console_build.install(node, all_packages=True)
    console_build.run(node, BIOME, "ci", "--error-on-warnings", ".")
    console_build.run(node, TSC, "--noEmit")
    if client(node) != CLIENT.read_text():
        again = ".venv/bin/python tools/console_checks.py --api"
        raise BuildError(f"the client is not what the server describes; run {again}")
    output = f"--outputFile.junit={report}"
    console_build.run(node, VITEST, "run", "--reporter=default", "--reporter=junit", output)
    console_build.build(node, all_packages=True)
    return within_budget()


def client(node: Node) -> str:
    """The types of what browsers ask for, from the description that the server gives."""
    described = subprocess.run(
        [sys.executable, "-m", "bellwire", "console", "--openapi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if described.returncode:
        raise BuildError(described.stderr)
    with tempfile.TemporaryDirectory(prefix="bellwire-api-") as place:
        source, made = Path(place) / "openapi.json", Path(place) / "schema.d.ts"
        description = json.loads(described.stdout)
        # The other paths are for programs, with tokens: a page has no use for them.
        paths = description["paths"].items()
        description["paths"] = {path: verbs for path, verbs in paths if path.startswith("/api/")}
        source.write_text(json.dumps(description))
        console_build.run(node, OPENAPI, str(source), "--output", str(made))
        return made.read_text()


def within_budget() -> str:
    """How large the scripts are that a first visit loads.

    Raises:
        BuildError: too large.
    """
    pieces = json.loads((STATIC / "assets.json").read_text())
    files: set[str] = set()
    waiting = ["index.html", FIRST_PAGE]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            files.add(pieces[name]["file"])
            waiting += pieces[name].get("imports", [])
    size = sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in files)
    if size > BUDGET_BYTES:
        raise BuildError(
            f"shell and first page: {size:,} bytes of script, {BUDGET_BYTES:,} permitted"
        )
    return f"shell and first page: {size / 1000:.0f} kB of script, compressed"


def main() -> int:
    """Check, or write the client; 0 if all is well."""
    try:
        if "--api" in sys.argv[1:]:
            node = console_build.need_node()
            console_build.install(node, all_packages=True)
            CLIENT.write_text(client(node))
        else:
            with tempfile.TemporaryDirectory(prefix="bellwire-console-") as place:
                print(check(Path(place) / "tests.xml"))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
