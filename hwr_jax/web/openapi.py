"""The OpenAPI 3.1 document: one dict, with examples. tests/web/test_openapi.py compares it with the routes."""

from __future__ import annotations

from typing import Any

import hwr_jax
from hwr_jax.web.bodies import MODES, MOST_BEST
from hwr_jax.web.limits import Limits
from hwr_jax.web.problems import MEDIA_TYPE, STATUSES

READING = (400, 401, 403, 408, 413, 415, 422, 429, 503)  # what a route that reads may refuse with
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
LABELLED = {
    "type": "object",
    "required": ["label", "confidence"],
    "properties": {"label": {"type": "string"}, "confidence": SHARE},
}
BOX = {
    "type": "array",
    "description": "x, y, width, height in pixels of the picture",
    "prefixItems": [{"type": "integer"}] * 4,
    "minItems": 4,
    "maxItems": 4,
}
UNREAD = {
    "type": "object",
    "description": "A picture or page that could not be read, where others could.",
    "required": ["image", "error"],
    "properties": {"image": {"type": "string"}, "page": {"type": "integer"}, "error": {"type": "string"}},
}
READ = {
    "type": "object",
    "required": ["image", "label", "confidence", "alternatives"],
    "properties": {
        "image": {"type": "string"},
        "label": {"type": "string"},
        "confidence": SHARE,
        "alternatives": {"type": "array", "items": {"$ref": "#/components/schemas/Labelled"}},
        "warnings": {"type": "array", "items": {"type": "string"}},
    },
}
DIGIT = {
    "type": "object",
    "required": ["label", "confidence", "alternatives", "box", "line"],
    "properties": {
        "label": {"type": "string"},
        "confidence": SHARE,
        "alternatives": {"type": "array", "items": {"$ref": "#/components/schemas/Labelled"}},
        "box": {"$ref": "#/components/schemas/Box"},
        "line": {"type": "integer", "minimum": 0},
    },
}
LINE = {
    "type": "object",
    "required": ["text", "confidence", "box"],
    "properties": {"text": {"type": "string"}, "confidence": SHARE, "box": {"$ref": "#/components/schemas/Box"}},
}
PAGE = {
    "type": "object",
    "required": ["image", "page", "text", "lines", "digits", "skipped", "notes", "ms"],
    "properties": {
        "image": {"type": "string"},
        "page": {"type": "integer", "minimum": 1},
        "text": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        "digits": {"type": "array", "items": {"$ref": "#/components/schemas/Digit"}},
        "skipped": {"type": "object", "additionalProperties": {"type": "integer"}},
        "notes": {"type": "array", "items": {"type": "string"}},
        "ms": {"type": "number"},
    },
}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "one sentence"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Unread"}},
    },
}
READ_EXAMPLE = [
    {
        "image": "the given bytes",
        "label": "7",
        "confidence": 0.999871,
        "alternatives": [
            {"label": "1", "confidence": 0.000061},
            {"label": "2", "confidence": 0.000034},
            {"label": "none", "confidence": 0.000012},
        ],
    }
]
PAGE_EXAMPLE = [
    {
        "image": "code.png",
        "page": 1,
        "text": "1",
        "lines": [{"text": "1", "confidence": 0.998, "box": [40, 30, 8, 60]}],
        "digits": [
            {
                "label": "1",
                "confidence": 0.998,
                "alternatives": [{"label": "7", "confidence": 0.001}],
                "box": [40, 30, 8, 60],
                "line": 0,
            }
        ],
        "skipped": {},
        "notes": [],
        "ms": 21.4,
    }
]


def document(limits: Limits) -> dict[str, Any]:
    """Returns the document of a server with these limits."""
    few = {"type": "integer", "minimum": 1, "maximum": MOST_BEST, "default": 4}
    best = _parameter("best", few, "How many classes, the most probable first.", 2)
    modes = {"type": "string", "enum": list(MODES), "default": "auto"}
    mode = _parameter("mode", modes, "What a picture shows.", "line")
    below = _parameter("reject_below", SHARE | {"default": 0}, "Write ? for a digit with less confidence.", 0.9)
    digits = _reading(
        "Reads pictures of one digit, or of one line, each.", "predict", [best], "Read", READ_EXAMPLE, limits
    )
    pages = _reading("Reads all digits in pictures of pages.", "scan", [mode, below], "Page", PAGE_EXAMPLE, limits)
    pages["post"]["responses"]["409"] = _refusal(409)
    ready = _get("Whether the server can read.", "readyz", "application/json", {"type": "object"})
    ready["get"]["responses"]["503"] = _refusal(503)
    counters = _get("Counters for Prometheus.", "metrics", "text/plain", {"type": "string"})
    counters["get"] |= {"security": _keys()}
    counters["get"]["responses"]["401"] = _refusal(401)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hwr_jax",
            "version": hwr_jax.__version__,
            "description": "Reads handwritten digits. Nothing of a picture is stored.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/predict": digits,
            "/v1/scan": pages,
            "/healthz": _get("Whether the server answers.", "healthz", "application/json", {"type": "object"}),
            "/readyz": ready,
            "/metrics": counters,
            "/openapi.json": _get("This document.", "openapi", "application/json", {"type": "object"}),
            "/docs": _get("This document, for people.", "docs", "text/html", {"type": "string"}),
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {
                "Box": BOX,
                "Digit": DIGIT,
                "Labelled": LABELLED,
                "Line": LINE,
                "Page": PAGE,
                "Problem": PROBLEM,
                "Read": READ,
                "Unread": UNREAD,
            },
        },
    }


def _parameter(name: str, schema: dict[str, Any], words: str, example: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": words, "example": example}


def _keys() -> list[dict[str, list[str]]]:
    """With a key or without one: which of them, the server's flags say."""
    return [{}, {"bearer": []}, {"header": []}]


def _refusal(status: int) -> dict[str, Any]:
    own = {
        "description": STATUSES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    after = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return own | ({"headers": after} if status in (429, 503) else {})


def _get(words: str, name: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    good = {"description": "Done.", "content": {media_type: {"schema": schema}}}
    return {"get": {"summary": words, "operationId": name, "responses": {"200": good, "403": _refusal(403)}}}


def _reading(
    words: str, name: str, parameters: list[Any], schema: str, example: list[Any], limits: Limits
) -> dict[str, Any]:
    picture = {"schema": {"type": "string", "format": "binary", "maxLength": limits.body_bytes}}
    files = {"type": "array", "minItems": 1, "maxItems": limits.files, "items": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": files}}}
    either = {"anyOf": [{"$ref": f"#/components/schemas/{schema}"}, {"$ref": "#/components/schemas/Unread"}]}
    found = {"schema": {"type": "array", "items": either}, "example": example}
    responses = {
        "200": {"description": "What each picture says, in the order sent.", "content": {"application/json": found}}
    }
    types = ["image/png", "image/jpeg", "image/*", "application/octet-stream"]
    content = dict.fromkeys([*types, *(["application/pdf"] if name == "scan" else [])], picture)
    return {
        "post": {
            "summary": words,
            "operationId": name,
            "parameters": parameters,
            "security": _keys(),
            "requestBody": {"required": True, "content": content | {"multipart/form-data": form}},
            "responses": responses | {str(status): _refusal(status) for status in READING},
        }
    }
