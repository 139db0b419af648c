"""Refusals: an HTTP status and one sentence, as problem+json (RFC 9457)."""

from __future__ import annotations

import http
import json
from typing import Any

MEDIA_TYPE = "application/problem+json"
RETRY_S = 1  # after which a client that was refused for want of room may ask again

STATUSES = {  # those that the server answers with, beside 200
    400: "The request is malformed.",
    401: "The key is missing or wrong.",
    403: "The request comes from another site, or names another host.",
    404: "There is no such page.",
    405: "This URL does not accept that method.",
    408: "The request did not arrive in time.",
    409: "The model reads lines, and a page is read character by character.",
    413: "The request is larger than is allowed.",
    415: "The media type is not that of a picture.",
    422: "No picture could be read, or a parameter is wrong.",
    429: "The client has too many pictures waiting or being read.",
    503: "Too many pictures wait, or the model is not ready.",
}


class Problem(Exception):
    """A request that is refused."""

    def __init__(self, status: int, words: str, *, close: bool = False, **more: Any):
        """words: one sentence; close: whether the connection ends; more: further keys of the answer."""
        super().__init__(words)
        self.status, self.close, self.more = status, close, more

    def body(self) -> bytes:
        """The JSON of the answer."""
        own = {"type": "about:blank", "title": http.HTTPStatus(self.status).phrase, "status": self.status}
        return json.dumps(own | {"detail": str(self)} | self.more).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that the status needs."""
        found = []
        if self.status in (429, 503):
            found.append((b"retry-after", str(RETRY_S).encode()))
        if self.status == 401:
            found.append((b"www-authenticate", b"Bearer"))
        if self.close:
            found.append((b"connection", b"close"))
        return found
