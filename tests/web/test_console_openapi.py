"""Schemathesis asks a console what the description of `/api` permits, and what it forbids."""

from pathlib import Path
from typing import Any

import httpx
from tests.console.model import GREEN
from tests.web.described import answers_as_described
from tests.web.pages import console
from tests.web.test_console_devices import FINGERPRINT, cloud_at, door_at

from bellwire.link.attacks import KINDS

LEFT_OUT = (
    "/api/live",  # answers that have no end
    "/api/chat/way",
    "/api/chat/frames",  # their longest bodies are too long for any door: 413
    "/api/register",
    "/api/register/challenge",
    "/api/lab/run",  # seconds of work each
    "/api/relay",  # ports that a search chose would be opened
)
NAMING = (
    *("api_cancel_invitation", "api_remove_device", "api_decide"),
    "api_register_echo",  # a challenge that is open
    "api_record_consistency",  # two sizes, the older one first
    *("api_chat_draw", "api_chat_make", "api_chat_fetch", "api_chat_session"),  # SAEs, their keys
)
ENTRIES = 3


def known(description: dict[str, Any]) -> dict[str, Any]:
    """What browsers ask for, about what there is: no description can say what this is."""
    paths = description["paths"].items()
    description["paths"] = {
        path: verbs for path, verbs in paths if path.startswith("/api/") and path not in LEFT_OUT
    }
    for verbs in description["paths"].values():
        for operation in verbs.values():
            if "security" in operation:
                operation["security"] = [{"token": []}]  # by the cookie a browser is known as well
            for one in operation.get("parameters", ()):
                if one["name"] in {"size", "old"}:
                    one["schema"]["maximum"] = ENTRIES
                if one["name"] == "device":
                    one["schema"] = {"type": "string", "enum": [FINGERPRINT]}
    shapes = description["components"]["schemas"]
    shapes["EveView"]["properties"]["kind"] = {"type": "string", "enum": list(KINDS)}
    shapes["MakeSession"]["properties"]["peer"] = {"type": "string", "enum": ["bob"]}
    return description


def test_what_is_described_is_what_is_answered(tmp_path: Path) -> None:
    with console(tmp_path) as site, cloud_at(site), door_at(site):
        site.sites.world.link = GREEN
        site.sites.world.stock = 10**6
        described = known(httpx.get(f"{site.url}/openapi.json", trust_env=False).json())
        answers_as_described(
            described,
            site.url,
            tmp_path,
            *("--header", f"Authorization: Bearer {site.sites.tokens['boss']}"),
            *("--seed", "11", "--max-examples", "2"),
            least=500,
            naming=NAMING,
        )
