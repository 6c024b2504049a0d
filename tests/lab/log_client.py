"""A plain HTTPS client for the lab's log queries. No code of the product."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from pytest_ampls.lab import Lab
from tests.lab.arm_client import Answered, ArmClient

AUDIENCE = "https://api.loganalytics.io"


class LogClient:
    """Sends single requests to a started lab's Log Analytics."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.arm = ArmClient(lab)
        self.context = ssl.create_default_context(cafile=str(lab.ca_bundle))
        self._tokens: dict[str, str] = {}

    def send(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answered:
        """Send one request as it is given, without a token of its own."""
        where = urlsplit(self.lab.log_analytics_endpoint)
        assert where.hostname
        connection = http.client.HTTPSConnection(where.hostname, where.port, context=self.context, timeout=20)
        try:
            connection.request(method, target, body or None, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, names, response.read())
        finally:
            connection.close()

    def bearer(self, audience: str = AUDIENCE) -> dict[str, str]:
        """Return the header with a token for an audience."""
        if audience not in self._tokens:
            self._tokens[audience] = self.arm.sign_in(scope=f"{audience}/.default").json["access_token"]
        return {"authorization": f"Bearer {self._tokens[audience]}"}

    @property
    def workspace(self) -> str:
        """The GUID of the first workspace."""
        workspaces = self.lab.estate.of_type("Microsoft.OperationalInsights/workspaces")
        customer: str = workspaces[0]["properties"]["customerId"]
        return customer

    def path(self, workspace: str | None = None) -> str:
        """Return the path of a workspace's queries; of the first one when none is named."""
        return f"/v1/workspaces/{workspace or self.workspace}/query"

    def ask(
        self,
        query: str,
        *,
        workspace: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Answered:
        """POST a query with a good token."""
        content = {"content-type": "application/json", **self.bearer(), **(headers or {})}
        body = json.dumps({"query": query, **more}).encode()
        return self.send("POST", self.path(workspace), headers=content, body=body)

    def get(self, query: str, timespan: str = "") -> Answered:
        """GET a query with a good token."""
        more = f"&timespan={quote(timespan)}" if timespan else ""
        return self.send("GET", f"{self.path()}?query={quote(query)}{more}", headers=self.bearer())

    def rows(self, query: str, **more: Any) -> list[dict[str, Any]]:
        """Return the rows of a query that must be answered, by column."""
        answered = self.ask(query, **more)
        assert answered.status == 200, answered.body
        (table,) = answered.json["tables"]
        names = [column["name"] for column in table["columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["rows"]]


@contextmanager
def serving(spec: str) -> Iterator[LogClient]:
    """Start a lab and return a client of its Log Analytics."""
    with Lab.from_spec(spec) as lab:
        yield LogClient(lab)
