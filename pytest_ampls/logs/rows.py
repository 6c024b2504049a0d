"""From the bytes of an answer to rows, and to what is missing of them.

Whatever is not exactly as asked for is a reason why something is unverified, never an empty list.
Source: https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from pytest_ampls.arm.dates import http_date
from pytest_ampls.model.log_rows import AGENT_CATEGORY, Heartbeat
from pytest_ampls.model.resource import key

__all__ = ["Refusal", "Rows", "refusal_of", "rows_of", "service_time"]

_COLUMNS: Final = ("_ResourceId", "TimeGenerated", "ComputerIP", "ComputerPrivateIPs", "Category", "Computer")
_TABLE: Final = "PrimaryResult"
_LONGEST_TEXT: Final = 600
"""Characters that are kept of a row's or an error's text; nothing real is longer."""


class Rows(NamedTuple):
    """What an answer held. ``problem`` says what is wrong or missing; ``understood`` that it was an answer at all."""

    heartbeats: tuple[Heartbeat, ...] = ()
    problem: str = ""
    understood: bool = False


class Refusal(NamedTuple):
    """The codes of an error's body, outer and inner, and the inner message."""

    code: str = ""
    inner_code: str = ""
    inner_message: str = ""


class _Column(msgspec.Struct):
    name: str


class _Table(msgspec.Struct):
    name: str
    columns: list[_Column]
    rows: list[list[Any]]


class _Answer(msgspec.Struct):
    tables: list[_Table] | None = None
    error: Any = None


def service_time(headers: Mapping[str, str]) -> float | None:
    """Return the time of an answer by its ``Date`` header, in seconds since the epoch; None where it has none."""
    return http_date(headers.get("date") or "")


def refusal_of(body: bytes) -> Refusal:
    """Return what the body of an error says; empty codes where it is none of the service's."""
    try:
        error = _dict(_dict(msgspec.json.decode(body)).get("error"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal()
    inner = _dict(error.get("innererror"))
    return Refusal(_text(error.get("code")), _text(inner.get("code")), _text(inner.get("message")))


def rows_of(body: bytes, machines: Set[str]) -> Rows:
    """Return the rows of the machines in question (their keys), each machine's newest.

    Rows of other machines, and of computers that are no resource, are left out.
    """
    if not body.strip():
        return Rows(problem="HTTP 200 with an empty body, where a table was asked for")
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rows(problem=f"the answer cannot be understood: {error}")
    if answer.tables is None:
        return Rows(problem=_partial(answer.error) or "the answer has no tables")
    table = next((each for each in answer.tables if each.name == _TABLE), None)
    if table is None:
        return Rows(problem=_partial(answer.error) or f"the answer has no table {_TABLE}")
    places = {column.name: place for place, column in enumerate(table.columns)}
    absent = [name for name in _COLUMNS if name not in places]
    if absent:
        return Rows(problem=f"the answer lacks the column {', '.join(absent)}")
    found, odd = _heartbeats(table.rows, places, machines)
    problems = [_partial(answer.error), _odd(odd, len(table.rows))]
    return Rows(found, "; ".join(filter(None, problems)), understood=True)


def _heartbeats(
    rows: list[list[Any]], places: Mapping[str, int], machines: Set[str]
) -> tuple[tuple[Heartbeat, ...], int]:
    found: dict[str, Heartbeat] = {}
    odd = 0
    for row in rows:
        if len(row) != len(places):
            odd += 1
            continue
        machine = row[places["_ResourceId"]]
        if machine is None or machine == "":
            continue  # a computer that is no resource of Azure
        heartbeat = _heartbeat({name: row[place] for name, place in places.items()})
        if heartbeat is None:
            odd += 1
            continue
        own = key(heartbeat.machine)
        if own in machines and (own not in found or _weight(found[own]) < _weight(heartbeat)):
            found[own] = heartbeat
    return tuple(found.values()), odd


def _weight(heartbeat: Heartbeat) -> tuple[bool, float]:
    """Return what to prefer rows by: those of the Azure Monitor Agent before others', and the newest of them."""
    return heartbeat.category.lower() == AGENT_CATEGORY.lower(), heartbeat.time_generated


def _heartbeat(row: Mapping[str, Any]) -> Heartbeat | None:
    """Return a row, None where it is not as the table's schema has it."""
    machine, when = row["_ResourceId"], _seconds(row["TimeGenerated"])
    addresses = _addresses(row["ComputerPrivateIPs"])
    texts = [row["Computer"], row["ComputerIP"], row["Category"]]
    if not isinstance(machine, str) or when is None or addresses is None:
        return None
    if not all(text is None or isinstance(text, str) for text in texts):
        return None
    computer, address, category = (_text(text) for text in texts)
    return Heartbeat(
        machine=machine[:_LONGEST_TEXT],
        time_generated=when,
        computer=computer,
        computer_ip=address,
        computer_private_ips=addresses,
        category=category,
    )


def _seconds(value: Any) -> float | None:
    """Return a datetime of the service's, which is in UTC and says so."""
    try:
        found = datetime.fromisoformat(value)
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError):
        return None


def _addresses(value: Any) -> tuple[str, ...] | None:
    """Return a dynamic value that is a list of texts: on the wire it is JSON inside of a text."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    return tuple(each[:_LONGEST_TEXT] for each in value)


def _partial(error: Any) -> str:
    """Say that an answer is not whole, where it carries an error."""
    if error is None:
        return ""
    body = _dict(error)
    said = ": ".join(filter(None, (_text(body.get("code")), _text(body.get("message")))))
    return f"the answer is not whole, rows may be missing ({said or 'without an explanation'})"


def _odd(number: int, total: int) -> str:
    return f"{number} of {total} rows are not as the table's schema has them" if number else ""


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""
