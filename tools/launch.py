"""Set up the checkout's private environment when it has to be, then become the program.

Standard library only: this runs before anything is installed. Nothing outside the checkout is
written, besides uv's own cache. An environment counts as ready when a fingerprint of everything it
was made from stands in it; the fingerprint is written last, and a set-up that was cut short leaves
a mark by which the next one knows to start afresh.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from tools import console_build

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
UV_VERSION = "0.13.9"
PROGRAMS = ("python", "bellwire")
CONTAINS = {
    "runtime": ("runtime",),
    "extras": ("runtime", "extras"),
    "dev": ("runtime", "extras", "dev"),
}
UNFINISHED = TOOLS / "unfinished"
SHOW_PAGES = ("console", "up")


class SetupError(Exception):
    """Set-up cannot go on; the message is for the person at the terminal."""


def launch(arguments: Sequence[str]) -> NoReturn:
    """Make the environment ready and replace this process by the program, or by `check`.

    Args:
        arguments: The command line after the launcher's name.

    Raises:
        SystemExit: 2 where the set-up is impossible, 130 when it was interrupted.
    """
    first = "".join(arguments[:1])
    try:
        make_ready({"check": "dev", "extras": "extras"}.get(first, "runtime"))
    except SetupError as error:
        say(str(error), who="error")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    if first == "extras":
        say("all optional libraries are installed")
        sys.exit(0)
    if first in SHOW_PAGES:
        make_pages()
    if first == "check":
        become(VENV / "bin" / "python", str(ROOT / "tools" / "check.py"), *arguments[1:])
    become(VENV / "bin" / "bellwire", *arguments)


def become(program: Path, *arguments: str) -> NoReturn:
    """Replace this process, so that exit codes and signals are the program's own."""
    os.execv(program, [str(program), *arguments])


def make_ready(group: str) -> None:
    """Install a group of locked requirements and the project, unless that has been done.

    Args:
        group: `runtime`, or `extras` which includes it, or `dev` which includes both.

    Raises:
        SetupError: read-only checkout, no network, no way to get uv.
    """
    wanted = fingerprint(group)
    if is_ready(group, wanted):
        return
    try:
        with only_one():
            if not is_ready(group, wanted):
                install(group, wanted)
    except OSError as error:
        raise SetupError(
            f"cannot set up in {ROOT}: {error.strerror or error} ({error.filename or 'no file'})"
        ) from error


def fingerprint(group: str) -> str:
    """Digest of what an environment is made from: the locks, the project's metadata, its place."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (lock_file(group), lock_file("build"), ROOT / "pyproject.toml"):
        content = path.read_bytes()
        digest.update(b"%d\n" % len(content) + content)
    return digest.hexdigest()


def lock_file(group: str) -> Path:
    """The hashed requirements of a group."""
    return ROOT / "requirements" / f"{group}.txt"


def is_ready(group: str, wanted: str) -> bool:
    """Whether the environment was made from exactly this, and its programs are still there."""
    if UNFINISHED.exists() or not all((VENV / "bin" / name).exists() for name in PROGRAMS):
        return False
    try:
        return stamp(group).read_text() == wanted
    except OSError:
        return False


def stamp(group: str) -> Path:
    """Where the fingerprint of an installed group stands."""
    return VENV / f"bellwire-{group}"


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Keep a second launcher waiting while this one works.

    The system frees the lock when we die, and when the uv that we left behind is done as well.
    """
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.set_inheritable(handle.fileno(), True)
        yield
        os.set_inheritable(handle.fileno(), False)


def install(group: str, wanted: str) -> None:
    """Create or mend the environment, and write its fingerprint last."""
    started = time.monotonic()
    python = VENV / "bin" / "python"
    afresh = UNFINISHED.exists() or not python.exists()
    if afresh:
        say(f"setting up with Python {platform.python_version()}, this happens once")
    else:
        say("bringing the environment up to date")
    uv = find_uv() or fetch_uv()
    for each in CONTAINS["dev"]:
        if not is_ready(each, fingerprint(each)):
            stamp(each).unlink(missing_ok=True)
    UNFINISHED.touch()
    try:
        if afresh:
            run_uv(uv, "venv", "--clear", "--python", sys.executable, str(VENV))
        say(f"installing the locked packages ({group})")
        into = ("pip", "install", "--python", str(python))
        run_uv(uv, *into, "--require-hashes", "-r", str(lock_file(group)))
        editable = (*into, "--no-deps", *BUILD, "--editable", str(ROOT))
        run_uv(uv, *editable, HATCH_BUILD_NO_HOOKS="true")
    except SetupError:
        # uv fetches everything before it changes anything: what was ready still is.
        if not afresh:
            UNFINISHED.unlink()
        raise
    # The locks agree on every version, so whoever has the development tools has the rest.
    for each in CONTAINS[group]:
        stamp(each).write_text(fingerprint(each))
    UNFINISHED.unlink()
    say(f"ready after {time.monotonic() - started:.0f} s")


BUILD = (
    *("--build-constraints", str(lock_file("build"))),
    *("--build-constraints", str(lock_file("console"))),
)


def make_pages() -> None:
    """Build the console's pages if they are missing or older than their sources.

    Whatever else the program does works without them, so a failure is told and no more; the next
    command that shows them tries again.
    """
    if console_build.is_built():
        return
    started = time.monotonic()
    try:
        with only_one():
            if console_build.find_node() is None:
                say("fetching Node, which builds the console's pages")
                uv = find_uv() or fetch_uv()
                into = ("pip", "install", "--target", str(console_build.PUT_ASIDE))
                run_uv(uv, *into, "--require-hashes", "-r", str(lock_file("console")))
            say("building the console's pages, this happens once")
            console_build.build(console_build.need_node())
    except (SetupError, console_build.BuildError, OSError) as error:
        say(f"the console's pages are not built, all else works: {error}", who="warning")
        return
    say(f"pages ready after {time.monotonic() - started:.0f} s")


def find_uv() -> str | None:
    """Path of uv: ours, or the one on PATH."""
    own = TOOLS / "bin" / "uv"
    return str(own) if own.exists() else shutil.which("uv")


def fetch_uv() -> str:
    """Install uv beside the environment; a target folder needs neither venv nor root."""
    say(f"fetching uv {UV_VERSION}")
    staging = TOOLS / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(staging))
    run([sys.executable, "-m", "pip", "install", *options, f"uv=={UV_VERSION}"], dict(os.environ))
    shutil.rmtree(TOOLS / "bin", ignore_errors=True)
    (staging / "bin").rename(TOOLS / "bin")
    shutil.rmtree(staging)
    return str(TOOLS / "bin" / "uv")


def run_uv(uv: str, *arguments: str, **environ: str) -> None:
    """Run uv on the environment we name, whatever environment we were called from."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", **environ}
    environment.pop("VIRTUAL_ENV", None)
    run([uv, "--quiet", *arguments], environment)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a step of the set-up, silent unless it fails.

    Raises:
        SetupError: with the last lines of what it said.
    """
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        close_fds=False,  # the lock of `only_one` goes along
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
    if "No module named pip" in said:
        raise SetupError("neither uv nor pip is here; install one of them (Debian: python3-pip)")
    what = " ".join(Path(word).name if "/" in word else word for word in command[:4])
    raise SetupError(
        f"set-up stopped at `{what}`:\n{said}\n"
        "It needs to reach a package index once; mend that and run the same command again."
    )


def say(what: str, *, who: str = "bellwire") -> None:
    """One short line to whoever waits."""
    sys.stderr.write(f"{who}: {what}\n")
    sys.stderr.flush()
