"""A plain HTTPS client for a lab: a token from its sign-in, and JSON back. No code of the product."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pytest_ampls.lab import Lab

MODERN = {
    "Microsoft.Compute": "2024-11-01",
    "Microsoft.HybridCompute": "2025-01-13",
    "Microsoft.Network": "2024-05-01",
}


@dataclass(frozen=True)
class Answered:
    """What came back: status, headers (lower-cased names), body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of ARM's error envelope."""
        code: str = self.json["error"]["code"]
        return code


class ArmClient:
    """Sends single requests to a started lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._context = ssl.create_default_context(cafile=str(lab.ca_bundle))
        self._token = ""

    def send(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answered:
        """Send one request as it is given, without a token of its own."""
        where = urlsplit(self.lab.arm_endpoint)
        assert where.hostname
        connection = http.client.HTTPSConnection(
            where.hostname, where.port, context=self._context, timeout=10
        )
        try:
            connection.request(method, quote(target, safe="/?&=%$'(),:"), body or None, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, names, response.read())
        finally:
            connection.close()

    def sign_in(self, **changes: str) -> Answered:
        """Ask for a token, with parts of the form replaced."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.lab.client_id,
            "client_secret": self.lab.client_secret,
            "scope": "https://management.azure.com/.default",
            **changes,
        }
        content = {"content-type": "application/x-www-form-urlencoded"}
        path = f"/{self.lab.tenant_id}/oauth2/v2.0/token"
        return self.send("POST", path, headers=content, body=urlencode(form).encode())

    def bearer(self) -> dict[str, str]:
        """Return the header with a good token."""
        if not self._token:
            self._token = self.sign_in().json["access_token"]
        return {"authorization": f"Bearer {self._token}"}

    def get(self, target: str) -> Answered:
        """GET with a token; ``target`` is a path with query, or an absolute URL of the lab."""
        return self.send("GET", target.removeprefix(self.lab.arm_endpoint), headers=self.bearer())

    def list(self, path: str, version: str) -> list[dict[str, Any]]:
        """Return all pages of a listing."""
        rows: list[dict[str, Any]] = []
        link: str | None = f"{path}?api-version={version}"
        while link:
            answered = self.get(link)
            assert answered.status == 200, answered.body
            rows += answered.json["value"]
            link = answered.json.get("nextLink")
        return rows

    def ask_graph(self, query: str, **options: Any) -> Answered:
        """Send a Resource Graph query over all subscriptions."""
        body = {"subscriptions": list(self.lab.subscriptions), "query": query, "options": options}
        headers = {**self.bearer(), "content-type": "application/json"}
        path = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"
        return self.send("POST", path, headers=headers, body=json.dumps(body).encode())

    @property
    def subscription(self) -> str:
        """The path of the first subscription."""
        return f"/subscriptions/{self.lab.subscriptions[0]}"

    @property
    def group(self) -> str:
        """The path of the first resource group."""
        group: str = next(iter(self.lab.estate.groups.values()))["id"]
        return group
