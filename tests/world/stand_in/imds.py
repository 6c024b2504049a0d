"""The instance metadata service of one machine of the world: tokens for its identities, or the refusals.

``python imds.py STATE`` answers on 169.254.169.254:80. STATE is a JSON file that is read for every request:
``{"system": true, "identities": [{"client_id": …, "object_id": …, "mi_res_id": …}], "token": "…"}``.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ADDRESS = ("169.254.169.254", 80)
NAMES = ("client_id", "object_id", "mi_res_id")
NO_HEADER = (400, "bad_request_102", "Required metadata header not specified")
NO_RESOURCE = (400, "invalid_request", "Required query variable 'resource' is missing")
NOT_FOUND = (400, "invalid_request", "Identity not found")
SEVERAL = (
    400,
    "invalid_request",
    "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity "
    "in the token request",
)


def refusal(state: dict[str, Any], query: dict[str, str], header: str | None) -> tuple[int, str, str] | None:
    """Return status, error and description for a request that gets no token, None for one that does."""
    if (header or "").lower() != "true":
        return NO_HEADER
    if not query.get("resource"):
        return NO_RESOURCE
    identities = state["identities"]
    named = [name for name in NAMES if name in query]
    if named:
        wanted = query[named[0]].lower()
        return None if any(each[named[0]].lower() == wanted for each in identities) else NOT_FOUND
    # Nothing named: the system-assigned identity, else the only user-assigned one.
    if state["system"] or len(identities) == 1:
        return None
    return SEVERAL if identities else NOT_FOUND


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        state = json.loads(Path(sys.argv[1]).read_text())
        query = dict(parse_qsl(parts.query))
        if parts.path != "/metadata/identity/oauth2/token":
            self.reply(404, {"error": "Not found"})
            return
        refused = refusal(state, query, self.headers.get("Metadata"))
        if refused is not None:
            status, error, description = refused
            self.reply(status, {"error": error, "error_description": description})
            return
        granted = {"access_token": state["token"], "expires_in": "86399", "token_type": "Bearer"}
        self.reply(200, {**granted, "resource": query["resource"]})

    def reply(self, status: int, body: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(ADDRESS, Handler).serve_forever()
