"""The console's API in OpenAPI 3.1: what `console` takes and gives."""

import re
from typing import Any

import msgspec

from bellwire.web.console_contract import OPERATIONS, Operation, Parameter

_REASONS = {
    "400": "Not what is asked for",
    "401": "Nobody's token",
    "403": "Not for this account, or not here",
    "404": "No such member",
    "405": "Another verb",
    "408": "Not whole in time",
    "409": "The name is another's",
    "413": "Body too long",
    "415": "No JSON",
    "422": "Not a name or keys",
    "429": "Too often",
    "431": "Head too long",
    "502": "The log is not what it signed",
    "503": "Not now",
}
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def describe(*, browser: bool = True) -> dict[str, Any]:
    """The description.

    Args:
        browser: Whether there is what browsers ask for.
    """
    token: list[dict[str, list[str]]] = [{"token": []}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Console of a site",
            "version": "1",
            "description": "Members and operators are known by their token.",
        },
        "paths": {
            "/get_session_key": {
                "post": {
                    **_operation("get_session_key", "Session", "SessionRequest"),
                    "security": token,
                }
            },
            "/link_status": {"get": _operation("link_status", "LinkStatus")},
            "/force_attack": {
                "post": {
                    **_operation("force_attack", "Attacked", "AttackRequest", required=False),
                    "security": token,
                }
            },
            "/reset": {"post": {**_operation("reset", "Attacked"), "security": token}},
            "/guard_state": {
                "post": {**_operation("guard_state", "Taken", "GuardReport"), "security": token}
            },
            "/guards": {"get": {**_operation("guards", "Guards"), "security": token}},
            "/peer": {"post": _operation("peer", "SealedAnswer", "Envelope")},
            "/healthz": {"get": _operation("health", "Health")},
            **(_pages() if browser else {}),
        },
        "components": {
            "schemas": {**_schemas(), **(_shapes() if browser else {})},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "browser": {"type": "apiKey", "in": "cookie", "name": "bellwire-SITE"},
            },
        },
    }


def _pages() -> dict[str, Any]:
    """What browsers ask for, by path and verb."""
    found: dict[str, Any] = {}
    for each in OPERATIONS:
        found.setdefault(each.path.decode(), {})[each.verb.decode().lower()] = _page(each)
    return found


def _page(each: Operation) -> dict[str, Any]:
    name = f"api_{each.name}"
    found = _operation(name, each.answer.__name__, each.body.__name__ if each.body else None)
    found["summary"] = each.about
    if each.stream:
        answered = found["responses"]["200"]
        answered["content"] = {"text/event-stream": answered["content"]["application/json"]}
    if each.query:
        found["parameters"] = [_parameter(one) for one in each.query]
    if each.roles:
        found["security"] = [{"browser": []}, {"token": []}]
        found["x-roles"] = sorted(each.roles)
    return found


def _parameter(each: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": each.kind}
    if each.kind == "string":
        schema["maxLength"] = each.most
    else:
        schema |= {"minimum": each.least, "maximum": each.most}
    if each.default is not None:
        schema["default"] = each.default
    found: dict[str, Any] = {
        "name": each.name,
        "in": "query",
        "description": each.about,
        "schema": schema,
    }
    if each.pattern is not None:
        schema["pattern"] = each.pattern
        found["required"] = True
    return found


def _shapes() -> dict[str, Any]:
    """The shapes of what browsers ask for and get, from the types that are encoded."""
    kinds = [kind for each in OPERATIONS for kind in (each.answer, each.body) if kind]
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for each in found.values():
        each["description"] = re.sub(r"\n +", "\n", each.get("description", ""))
    return found


def _operation(
    name: str, answer: str, body: str | None = None, *, required: bool = True
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name,
        "responses": {
            "200": {"description": "Done", **_content(answer)},
            **{code: {"description": why, **_content("Error")} for code, why in _REASONS.items()},
        },
    }
    if body:
        found["requestBody"] = {"required": required, **_content(body)}
    return found


def _content(schema: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _schemas() -> dict[str, Any]:
    text = {"type": "string"}
    ratio = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    status = {"type": "string", "enum": ["GREEN", "YELLOW", "RED"]}
    name = {"type": "string", "maxLength": 80}
    sealed = {"type": "string", "contentEncoding": "base64"}
    link = {
        "status": status,
        "qber": ratio,
        "history": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
        "reason": text,
    }
    attack = {
        "type": ["object", "null"],
        "properties": {"kind": text, "share": {"type": "number"}},
    }
    return {
        "SessionRequest": _object({"client_id": name, "peer_id": name}),
        "Session": _object(
            {
                "session_id": {"type": "string", "pattern": _UUID},
                "aes_key": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "qber": ratio,
                "link_status": status,
                "source": text,
            }
        ),
        "LinkStatus": _object(link),
        "AttackRequest": {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "maxLength": 80},
                "share": {"type": "number", "minimum": 0, "maximum": 1},
            },
        },
        "Attacked": _object({"attack": attack, "simulated": {"const": True}, **link}),
        **_guards(),
        "Envelope": _object(
            {"version": {"type": "integer", "minimum": 0}, "key_id": text, "sealed": sealed}
        ),
        "SealedAnswer": _object({"sealed": sealed}),
        "Health": _object({"status": text}),
        "Error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": text,
                "details": {"type": "array", "items": {"type": "object"}},
            },
        },
    }


def _guards() -> dict[str, Any]:
    words = {"type": "string", "maxLength": 600}
    packets = {"type": "string", "enum": ["pass", "stop"]}
    count = {"type": "integer", "minimum": 0}
    time = {"type": ["number", "null"]}
    override = {
        "type": ["object", "null"],
        "required": ["packets", "until", "reason"],
        "properties": {"packets": packets, "until": time, "reason": words},
    }
    report = {
        "packets": packets,
        "reason": words,
        "since": {"type": "number"},
        "heard_at": time,
        "qber": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "blocked_packets": count,
        "blocked_bytes": count,
        "restored": count,
        "override": override,
        "firewall": {"type": "string", "enum": ["nftables", "iptables-nft", "iptables-legacy"]},
        "lease_s": {"type": "number", "exclusiveMinimum": 0, "maximum": 60},
        "ports": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {"type": "integer", "minimum": 1, "maximum": 65535},
        },
        "addresses": {
            "type": "array",
            "maxItems": 256,
            "items": {"type": "string", "maxLength": 49},
        },
        "interfaces": {
            "type": "array",
            "maxItems": 16,
            "items": {"type": "string", "maxLength": 15},
        },
    }
    relay = {
        "type": ["object", "null"],
        "required": ["level", "places", "sequence", "problem"],
        "properties": {
            "level": {"enum": ["home", "port", "address", "interface", "lockdown", None]},
            "places": {
                "type": "array",
                "maxItems": 16,
                "items": {"type": "string", "maxLength": 300},
            },
            "sequence": count,
            "problem": words,
        },
    }
    silent = {"silent": {"type": "boolean"}, "silent_s": {"type": "number", "minimum": 0}}
    named = {"name": {"type": "string", "maxLength": 64}, **silent}
    shown = _object({**named, **report, "relay": relay})
    told = _object(report)
    told["properties"] = {**report, "relay": relay}  # a guard that follows none need not say so
    return {
        "GuardReport": told,
        "Taken": _object({}),
        "Guards": _object({"guards": {"type": "array", "maxItems": 64, "items": shown}}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
