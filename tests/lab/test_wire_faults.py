"""Faults of the wire: each does to a client what its title says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_ampls.lab import Lab
from pytest_ampls.lab.fault.wire import asked_type
from pytest_ampls.lab.messages import Request
from tests.lab.arm_client import ArmClient

_RULES = "providers/Microsoft.Insights/dataCollectionRules?api-version=2023-03-11"
_MACHINES = "providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01"


@contextmanager
def _client(faults: str) -> Iterator[ArmClient]:
    with Lab.from_spec(f"hub-and-spoke+{faults}") as lab:
        yield ArmClient(lab)


def test_denied_type() -> None:
    """One type is refused, with the action that is missing; the others are not."""
    with _client("denied=dataCollectionRules") as arm:
        answered = arm.get(f"{arm.subscription}/{_RULES}")
        assert (answered.status, answered.code) == (403, "AuthorizationFailed")
        assert "'Microsoft.Insights/dataCollectionRules/read'" in answered.json["error"]["message"]
        assert arm.get(f"{arm.subscription}/{_MACHINES}").status == 200


def test_denied_everything() -> None:
    """Without a type everything is refused, and 401 still comes before 403."""
    with _client("denied") as arm:
        assert arm.get(f"{arm.subscription}?api-version=2022-12-01").status == 403
        assert arm.ask_graph("resources | count").status == 403
        assert arm.send("GET", f"{arm.subscription}?api-version=2022-12-01").status == 401


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/subscriptions/s/providers/Microsoft.Compute/virtualMachines", "microsoft.compute/virtualmachines"),
        (
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z/ALL",
            "microsoft.network/privatednszones/recordsets",
        ),
        (
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z/virtualNetworkLinks",
            "microsoft.network/privatednszones/virtualnetworklinks",
        ),
        (
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/r/associations",
            "microsoft.insights/datacollectionruleassociations",
        ),
        ("/subscriptions/s", "microsoft.resources/subscriptions"),
        ("/metadata/endpoints", ""),
    ],
)
def test_asked_type(path: str, kind: str) -> None:
    """A fault that names a type hits what reads that type, by whatever route."""
    assert asked_type(Request("GET", path, {})) == kind


def test_unauthenticated() -> None:
    """Every token is refused, though the sign-in works."""
    with _client("unauthenticated") as arm:
        assert arm.sign_in().status == 200
        assert arm.get(f"{arm.subscription}?api-version=2022-12-01").status == 401


def test_token_refused() -> None:
    """The sign-in refuses the right secret."""
    with _client("token-refused") as arm:
        assert arm.sign_in().status == 401


def test_throttled() -> None:
    """The first requests to each path are refused, the next one is not."""
    with _client("throttled=2") as arm:
        path = f"{arm.subscription}/{_RULES}"
        answers = [arm.get(path) for _ in range(3)]
        assert [answer.status for answer in answers] == [429, 429, 200]
        assert answers[0].headers["retry-after"] == "1"
        assert arm.get(f"{arm.subscription}/{_MACHINES}").status == 429


def test_throttled_forever() -> None:
    """A type stays throttled."""
    with _client("throttled-forever=dataCollectionRules") as arm:
        assert [arm.get(f"{arm.subscription}/{_RULES}").status for _ in range(3)] == [429] * 3
        assert arm.get(f"{arm.subscription}/{_MACHINES}").status == 200


def test_cut_page() -> None:
    """The body ends before the length that was announced."""
    with _client("cut-page=dataCollectionRules") as arm:
        with pytest.raises(http.client.IncompleteRead):
            arm.get(f"{arm.subscription}/{_RULES}")
        assert arm.get(f"{arm.subscription}/{_MACHINES}").status == 200


def test_connection_reset() -> None:
    """The connection ends without an answer."""
    with _client("connection-reset=dataCollectionRules") as arm:
        with pytest.raises(OSError):  # noqa: PT011 - what exactly depends on the platform
            arm.get(f"{arm.subscription}/{_RULES}")
        assert arm.get(f"{arm.subscription}/{_MACHINES}").status == 200


def test_malformed_json() -> None:
    """The body says it is JSON, and is not."""
    with _client("malformed-json=dataCollectionRules") as arm:
        answered = arm.get(f"{arm.subscription}/{_RULES}")
        assert answered.headers["content-type"].startswith("application/json")
        with pytest.raises(json.JSONDecodeError):
            _ = answered.json


def test_html_error() -> None:
    """A gateway's error page is HTML."""
    with _client("html-error=dataCollectionRules") as arm:
        answered = arm.get(f"{arm.subscription}/{_RULES}")
        assert (answered.status, answered.headers["content-type"]) == (503, "text/html")
        assert b"<html>" in answered.body


def test_missing_properties() -> None:
    """One document has no properties; the others are whole."""
    with _client("missing-properties=dataCollectionRules") as arm:
        rows = arm.get(f"{arm.subscription}/{_RULES}").json["value"]
        assert ["properties" in row for row in rows] == [False, True]
        alone = arm.get(
            f"{arm.group}/providers/Microsoft.Insights/dataCollectionRules/dcr-linux?api-version=2023-03-11"
        )
        assert "properties" not in alone.json


def test_wrong_type() -> None:
    """One document has a list where an object belongs."""
    with _client("wrong-type=dataCollectionRules") as arm:
        rows = arm.get(f"{arm.subscription}/{_RULES}").json["value"]
        assert [type(row["properties"]) for row in rows] == [list, dict]


def test_next_links() -> None:
    """Links lead to another host, or back to the same page."""
    with _client("foreign-next-link=dataCollectionRules+looping-next-link=virtualMachines") as arm:
        foreign = arm.get(f"{arm.subscription}/{_RULES}").json["nextLink"]
        assert foreign.startswith("https://127.0.0.2:")
        path = f"{arm.subscription}/{_MACHINES}"
        loop = arm.get(path).json["nextLink"]
        assert loop == arm.lab.arm_endpoint + path
        assert arm.get(loop).json["nextLink"] == loop
