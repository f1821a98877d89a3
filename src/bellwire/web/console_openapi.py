"""The console's API in OpenAPI 3.1: what `console` takes and gives."""

from typing import Any

_REASONS = {
    "400": "Not what is asked for",
    "401": "Nobody's token",
    "403": "Not for this account, or not here",
    "404": "No such member",
    "405": "Another verb",
    "408": "Not whole in time",
    "413": "Body too long",
    "429": "Too often",
    "431": "Head too long",
    "503": "Not now",
}
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def describe() -> dict[str, Any]:
    """The whole description."""
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
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


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
