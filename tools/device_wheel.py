"""Builds `bellwire-device`, installs it alone, and lets it enrol and send to a cloud of bellwire.

    .venv/bin/python tools/device_wheel.py

prints, as JSON, what the device takes: the wheel, all that is installed with it, the processor's
time until its help is there, and the most memory that its process had while it sent readings.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import launch

PROJECT = launch.ROOT / "packaging" / "bellwire-device"
HEAVY = ("numpy", "numba", "fastapi", "sqlalchemy", "matplotlib")
RUNS = 5
READINGS = 1000

COST = """
import json, os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
code, seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
print(json.dumps([code, seconds, used.ru_maxrss]))
"""
"""Runs a program from a small process: what is measured has nothing of ours in it."""


def install(uv: Callable[..., None], place: Path) -> Path:
    """Build the wheel and install it with what it needs; the folder of its programs."""
    built, environment = place / "device-dist", place / "device-environment"
    uv("build", "--wheel", *launch.BUILD, "--out-dir", str(built), str(PROJECT))
    (wheel,) = built.glob("*.whl")
    uv("venv", "--python", sys.executable, str(environment))
    python, lock = str(environment / "bin" / "python"), str(launch.lock_file("runtime"))
    uv("pip", "install", "--python", python, "--constraints", lock, str(wheel))
    return environment / "bin"


def try_out(programs: Path, cloud: Path, place: Path) -> dict[str, float]:
    """Enrol and send, then say what it took.

    Args:
        programs: From `install`.
        cloud: The program `bellwire` of the whole product.
        place: As for `install`.

    Raises:
        RuntimeError: something too heavy for a device was installed, or a program fails.
    """
    site = next((programs.parent / "lib").glob("python*/site-packages"))
    found = [name for name in HEAVY if (site / name).exists()]
    if found:
        raise RuntimeError(f"expected a device without {', '.join(found)}, got it")
    device, state, data = programs / "bellwire-device", place / "site", place / "readings.csv"
    data.write_text("n,square\n" + "".join(f"{n},{n * n}\n" for n in range(READINGS)))
    invited = json.loads(
        said(cloud, "cloud", "invite", "--name", "d", "--json", "--state", str(state))
    )
    listen = ("--listen", "127.0.0.1:0", "--qkd", "off", "--with-parent", "--state", str(state))
    with subprocess.Popen(
        [str(cloud), "cloud", *listen],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean(),
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            at = json.loads(running.stdout.readline())["listen"]
            where = ("--to", at, "--state", str(place / "device"))
            said(device, "enroll", "--code", invited["code"], *where)
            _, peak = cost(device, "send", "--data", str(data), "--qkd", "off", *where)
            again = said(device, "send", "--data", str(data), "--qkd", "off", "--json", *where)
        finally:
            running.kill()
    if json.loads(again)["already"] != READINGS + 1:
        raise RuntimeError(f"expected all readings with the cloud, got {again}")
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    (wheel,) = (place / "device-dist").glob("*.whl")
    return {
        "wheel_kb": round(wheel.stat().st_size / 1e3),
        "installed_mb": round(size / 1e6, 1),
        "help_cpu_s": round(min(cost(device, "--help")[0] for _ in range(RUNS)), 2),
        "send_peak_mb": round(peak * 1024 / 1e6, 1),
    }


def said(program: Path, *arguments: str) -> str:
    """What a program prints; RuntimeError if it fails."""
    done = subprocess.run(
        [str(program), *arguments],
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{program.name} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def cost(program: Path, *arguments: str) -> tuple[float, float]:
    """Processor's seconds and the peak of memory in KiB; RuntimeError if the program fails."""
    done = said(Path(sys.executable), "-c", COST, str(program), *arguments)
    code, seconds, peak = json.loads(done.splitlines()[-1])
    if code:
        raise RuntimeError(f"{program.name} ended with {code}: {done}")
    return seconds, peak


def clean() -> dict[str, str]:
    """An environment in which nothing of this checkout can be imported."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def main() -> None:
    """Print the figures."""
    uv = launch.find_uv()
    assert uv is not None, "run ./bellwire check once: it brings uv"
    with tempfile.TemporaryDirectory(prefix="bellwire-device-") as name:
        place = Path(name)
        programs = install(lambda *arguments: launch.run_uv(uv, *arguments), place)
        cloud = Path(sys.executable).parent / "bellwire"
        print(json.dumps(try_out(programs, cloud, place)))


if __name__ == "__main__":
    main()
