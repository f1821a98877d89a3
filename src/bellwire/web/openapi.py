"""The key delivery API in OpenAPI 3.1: what `requests` takes and `answers` gives."""

from typing import Any

from bellwire.etsi014.record import FRESH, MAX_FRESH_BITS
from bellwire.keys.kme import MAX_SAE_ID, Limits

_UUID = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
_REASONS = {
    "400": "Bad request format",
    "401": "Unauthorised",
    "405": "Another verb",
    "408": "Not whole in time",
    "413": "Body too long",
    "431": "Head too long",
    "503": "Not now",
}


def describe(bounds: Limits) -> dict[str, Any]:
    """The whole description, within the limits of a KME."""
    size = {
        "type": "integer",
        "minimum": bounds.min_key_bits,
        "maximum": bounds.max_key_bits,
        "multipleOf": 8,
    }
    number = {"type": "integer", "minimum": 1, "maximum": bounds.max_keys_per_request}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Key delivery, ETSI GS QKD 014 V1.1.1",
            "version": "1",
            "description": "Callers are known by their client certificate.",
        },
        "paths": {
            "/api/v1/keys/{slave_SAE_ID}/status": {
                "parameters": [_sae("slave_SAE_ID")],
                "get": _operation("get_status", "Status"),
            },
            "/api/v1/keys/{slave_SAE_ID}/enc_keys": {
                "parameters": [_sae("slave_SAE_ID")],
                "get": _operation(
                    "get_key_simple",
                    "KeyContainer",
                    parameters=[_query("number", number), _query("size", size)],
                ),
                "post": _operation("get_key", "KeyContainer", body="KeyRequest", required=False),
            },
            "/api/v1/keys/{master_SAE_ID}/dec_keys": {
                "parameters": [_sae("master_SAE_ID")],
                "get": _operation(
                    "get_key_with_key_id",
                    "KeyContainer",
                    parameters=[
                        {**_query("key_ID", {"type": "string", "pattern": _UUID}), "required": True}
                    ],
                ),
                "post": _operation("get_key_with_key_ids", "KeyContainer", body="KeyIDs"),
            },
        },
        "components": {"schemas": _schemas(bounds, number, size)},
    }


def _operation(
    name: str,
    answer: str,
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
    required: bool = True,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name,
        "responses": {
            "200": _content(answer, "Done"),
            **{code: _content("Error", words) for code, words in _REASONS.items()},
        },
    }
    if parameters:
        found["parameters"] = parameters
    if body:
        found["requestBody"] = {"required": required, **_content(body, None)}
    return found


def _content(schema: str, words: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    }
    return found if words is None else {"description": words, **found}


def _sae(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_SAE_ID}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _schemas(bounds: Limits, number: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    words = {"type": "string"}
    count = {"type": "integer", "minimum": 0}
    any_object = {"type": "object"}
    maybe_object = {"type": ["object", "null"]}
    status = {
        **dict.fromkeys(("source_KME_ID", "target_KME_ID", "master_SAE_ID", "slave_SAE_ID"), words),
        **dict.fromkeys(
            (
                "key_size",
                "stored_key_count",
                "max_key_count",
                "max_key_per_request",
                "max_key_size",
                "min_key_size",
                "max_SAE_ID_count",
            ),
            count,
        ),
    }
    plain = _plain_request(bounds, number, size)
    return {
        "Status": {
            "type": "object",
            "required": list(status),
            "properties": {**status, "status_extension": any_object},
        },
        "KeyRequest": {"anyOf": [plain, _session_request()]} if bounds.sessions else plain,
        "KeyIDs": {
            "type": "object",
            "required": ["key_IDs"],
            "properties": {
                "key_IDs": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": bounds.max_keys_per_request,
                    "items": {
                        "type": "object",
                        "required": ["key_ID"],
                        "properties": {
                            "key_ID": {"type": "string", "pattern": _UUID},
                            "key_ID_extension": maybe_object,
                        },
                    },
                },
                "key_IDs_extension": maybe_object,
            },
        },
        "KeyContainer": {
            "type": "object",
            "required": ["keys"],
            "properties": {
                "keys": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["key_ID", "key"],
                        "properties": {
                            "key_ID": {"type": "string", "pattern": _UUID},
                            "key": {"type": "string", "contentEncoding": "base64"},
                        },
                    },
                }
            },
        },
        "Error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": words,
                "details": {"type": "array", "items": any_object},
            },
        },
    }


def _plain_request(bounds: Limits, number: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    """Keys of the pool."""
    return {
        "type": "object",
        "properties": {
            "number": {**number, "default": 1},
            "size": {**size, "default": bounds.key_bits},
            "additional_slave_SAE_IDs": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": MAX_SAE_ID},
                "maxItems": bounds.max_additional_slaves,
                "uniqueItems": True,
            },
            "extension_mandatory": {
                "type": "array",
                "items": {"type": "object", "maxProperties": 0},
                "description": "No extension is supported here.",
            },
            "extension_optional": {"type": "array", "items": {"type": "object"}},
        },
    }


def _session_request() -> dict[str, Any]:
    """One key, made now."""
    size = {"type": "integer", "minimum": 8, "maximum": MAX_FRESH_BITS, "multipleOf": 8}
    asked = {
        "type": "object",
        "properties": {FRESH: {"const": True}},
        "required": [FRESH],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "required": ["extension_mandatory"],
        "properties": {
            "number": {"const": 1},
            "size": size,
            "additional_slave_SAE_IDs": {"type": "array", "maxItems": 0},
            "extension_mandatory": {"type": "array", "items": asked, "minItems": 1, "maxItems": 1},
            "extension_optional": {"type": "array", "items": {"type": "object"}},
        },
    }
