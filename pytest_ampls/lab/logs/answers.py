"""What the query service sends: tables, and errors in its own envelope."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pytest_ampls.lab.logs.lexer import TICKS
from pytest_ampls.lab.logs.relation import Relation, Row
from pytest_ampls.lab.messages import Response, json_response

__all__ = ["failure", "no_such_path", "refused_query", "result", "too_many"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def failure(status: int, code: str, message: str, inner: dict[str, Any] | None = None) -> Response:
    """Return an error of the service."""
    error: dict[str, Any] = {"message": message, "code": code, "correlationId": str(uuid.uuid4())}
    if inner is not None:
        error["innererror"] = inner
    return json_response(status, {"error": error})


def no_such_path() -> Response:
    """Return the refusal of a path or a method that there is not."""
    return failure(404, "PathNotFoundError", "The requested path does not exist")


def refused_query(inner: dict[str, Any]) -> Response:
    """Return the refusal of a query that is not understood."""
    return failure(400, "BadArgumentError", "The request had some invalid properties", inner)


def too_many(seconds: int) -> Response:
    """Return the refusal of a request that is one too many."""
    response = failure(429, "ThrottledError", "The request was throttled: too many queries of this user")
    response.headers["Retry-After"] = str(seconds)
    return response


def _moment(ticks: int) -> str:
    """Write a moment as the service does: seven digits of a second, UTC."""
    whole, fraction = divmod(ticks, TICKS)
    moment = _EPOCH + timedelta(seconds=whole)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:07d}Z"


def _duration(ticks: int) -> str:
    sign, ticks = ("-", -ticks) if ticks < 0 else ("", ticks)
    seconds, fraction = divmod(ticks, TICKS)
    days, seconds = divmod(seconds, 86_400)
    clock = f"{seconds // 3_600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{sign}{f'{days}.' if days else ''}{clock}{f'.{fraction:07d}' if fraction else ''}"


_WRITERS: Final[dict[str, Callable[[int], str]]] = {"datetime": _moment, "timespan": _duration}


def result(relation: Relation, rows: list[Row], problem: str = "") -> Response:
    """Return the table of a query's rows, with what it lacks beside it where it is not whole."""
    writers = [(name, _WRITERS.get(kind)) for name, kind in relation.columns.items()]
    table = {
        "name": "PrimaryResult",
        "columns": [{"name": name, "type": kind} for name, kind in relation.columns.items()],
        "rows": [
            [row[name] if write is None or row[name] is None else write(row[name]) for name, write in writers]
            for row in rows
        ],
    }
    document: dict[str, Any] = {"tables": [table]}
    if problem:
        inner = {"code": "-2133196797", "message": problem, "severity": 2, "severityName": "Error"}
        text = "Something went wrong processing your query on the server."
        document["error"] = {
            "code": "PartialError",
            "message": "There were some errors when processing your query.",
            "details": [{"code": "EngineError", "message": text, "innererror": inner}],
        }
    return Response(200, msgspec.json.encode(document))
