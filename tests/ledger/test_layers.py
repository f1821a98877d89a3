"""What the log's formats stand on."""

import subprocess
import sys

LOADS = """
import importlib, pkgutil, sys
import bellwire.ledger
for module in pkgutil.walk_packages(bellwire.ledger.__path__, "bellwire.ledger."):
    # These call others over HTTP; who only reads, proves or signs goes without.
    calling = ("bellwire.ledger.outbox.", "bellwire.ledger.anchors.", "bellwire.ledger.fetching")
    if not module.name.startswith(calling):
        importlib.import_module(module.name)
print(*sorted(sys.modules))
"""


def test_the_log_loads_no_web_and_no_neighbour() -> None:
    done = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "bellwire.ledger.proofs" in loaded
    for other in ("web", "node", "cli", "channel", "distill", "link", "pki", "keys", "chat"):
        assert f"bellwire.{other}" not in loaded
    assert not {"fastapi", "uvicorn", "httptools", "httpx", "pydantic"} & {*loaded}
