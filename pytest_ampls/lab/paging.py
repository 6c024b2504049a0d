"""Listings in pages: absolute next links with a skip token, bodies encoded once."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from pytest_ampls.lab.messages import Request, Response
from pytest_ampls.lab.store import Document
from pytest_ampls.lab.targets import refuse

__all__ = ["Pages"]


class Pages:
    """Cuts listings into pages and keeps the encoded bodies. Thread-safe: entries are only added."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.origin = ""
        self._bodies: dict[tuple[str, str], bytes] = {}

    def page(
        self,
        documents: list[Document],
        request: Request,
        *,
        null_link: bool,
        size: int | None = None,
        change: Callable[[Document], Any] | None = None,
    ) -> Response:
        """Return the page of a listing that the request's skip token points to."""
        # The path's case does not matter; that of a skip token does.
        path, _, rest = request.target.partition("?")
        key = (path.lower(), rest)
        body = self._bodies.get(key)
        if body is None:
            query = request.query()
            size = size or self.size
            start = _skip(query.get("$skiptoken", ""), len(documents))
            rows = documents[start : start + size]
            page: dict[str, Any] = {"value": [change(row) for row in rows] if change else rows}
            if start + size < len(documents):
                page["nextLink"] = self._next_link(request, start + size)
            elif null_link:
                page["nextLink"] = None
            body = self._bodies[key] = msgspec.json.encode(page)
        return Response(200, body)

    def _next_link(self, request: Request, start: int) -> str:
        path, _, query = request.target.partition("?")
        kept = [
            part for part in query.split("&") if not part.lower().startswith(("$skiptoken=", "%24skiptoken="))
        ]
        token = base64.urlsafe_b64encode(f"from={start}".encode()).decode()
        return f"{self.origin}{path}?{'&'.join(kept)}&%24skiptoken={quote(token)}"


def _skip(token: str, count: int) -> int:
    """Return the position a skip token stands for; RefusedError when it is none of ours."""
    if not token:
        return 0
    try:
        start = int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("from="))
    except ValueError:
        start = -1
    if not 0 < start < count:
        refuse(400, "InvalidSkipToken", "The provided $skiptoken is invalid.")
    return start
