"""Answers of a workspace as the service writes them, and ways to spoil them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from tests.arm.server import Reply

__all__ = ["COLUMNS", "CUSTOMER", "ID", "NOW", "PATH", "answer", "refusal", "row", "stamp"]

NOW = 1_790_000_000.0
CUSTOMER = "36b87820-3c7e-41fe-851a-86d2a26e7cc2"
PATH = f"/v1/workspaces/{CUSTOMER}/query"
ID = "/subscriptions/s/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm1"
COLUMNS = {
    "_ResourceId": "string",
    "TimeGenerated": "datetime",
    "ComputerIP": "string",
    "ComputerPrivateIPs": "dynamic",
    "Category": "string",
    "Computer": "string",
}


def stamp(seconds: float) -> str:
    """Return a time as the service writes it: seven digits behind the point, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def row(machine: str = ID, age: float = 30.0, **changes: Any) -> list[Any]:
    """Return a row of a machine that sent some seconds ago."""
    values = {
        "_ResourceId": machine,
        "TimeGenerated": stamp(NOW - age),
        "ComputerIP": "fd40:1085:12:6d79:7712:100:c0a8:4",
        "ComputerPrivateIPs": '["192.168.0.4"]',
        "Category": "Azure Monitor Agent",
        "Computer": machine.rpartition("/")[2],
    }
    values.update(changes)
    return [values[name] for name in COLUMNS]


def answer(*rows: list[Any], without: str = "", table: str = "PrimaryResult", **more: Any) -> dict[str, Any]:
    """Return the body of a good answer; ``without`` a column, with ``more`` beside the tables."""
    kept = [place for place, name in enumerate(COLUMNS) if name != without]
    columns = [{"name": name, "type": kind} for name, kind in COLUMNS.items() if name != without]
    shortened = [[each[place] for place in kept] for each in rows]
    return {"tables": [{"name": table, "columns": columns, "rows": shortened}], **more}


def refusal(status: int, code: str, inner: str = "", message: str = "no", **headers: str) -> Reply:
    """Return a refusal of the service's."""
    error: dict[str, Any] = {"message": message, "code": code}
    if inner:
        error["innererror"] = {"code": inner, "message": f"inner {message}"}
    return Reply({"error": error}, status=status, headers={"Date": formatdate(time.time()), **headers})
