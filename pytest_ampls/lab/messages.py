"""Requests and responses of the embedded server, and ARM's error envelopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

__all__ = ["Asked", "Request", "Response", "error", "json_response"]

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Asked:
    """One request that the lab answered: for tests and for call counts."""

    method: str
    path: str
    api_version: str
    status: int


@dataclass(frozen=True)
class Request:
    """One HTTP request. ``path`` is decoded; header and query names are lower-cased."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The decoded path without the query."""
        return unquote(urlsplit(self.target).path)

    def query(self) -> dict[str, str]:
        """Return the query's parameters, names lower-cased; the last of a name wins."""
        pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        return {name.lower(): value for name, value in pairs}


@dataclass
class Response:
    """One HTTP response.

    ``declared_length`` is the Content-Length that is announced where that is a lie, and
    ``reset`` closes the connection without any answer: both only by faults.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    declared_length: int | None = None
    reset: bool = False


def json_response(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(status, msgspec.json.encode(document), headers or {})


def error(status: int, code: str, message: str, **more: Any) -> Response:
    """Return ARM's gateway error envelope."""
    envelope = {"error": {"code": code, "message": message, **more}}
    return json_response(status, envelope, {"x-ms-failure-cause": "gateway"})
