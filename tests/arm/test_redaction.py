"""Redaction: what is dropped, and what must stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.redaction import redacted

DATA = Path(__file__).parents[3] / "shared" / "data" / "by_type"


def clean(document: Any) -> Any:
    """Return a document after redaction."""
    (raw,) = redacted([msgspec.Raw(json.dumps(document).encode())])
    return msgspec.json.decode(raw)


@pytest.mark.parametrize(
    "name",
    ["clientSecretUrl", "secret", "primarySharedKey", "InstrumentationKey", "adminPassword", "sasToken",
     "customData", "userData", "protectedSettings", "ACCESSKEY"],
)  # fmt: skip
def test_secrets_go_wherever_they_are(name: str) -> None:
    """A text, a list or an object under such a name is dropped, at any depth."""
    for value in ("s3cr3t", ["s3cr3t"], {"v": "s3cr3t"}):
        document = {"id": "/a", "properties": {"list": [{name: value, "kept": 1}]}}
        assert clean(document) == {"id": "/a", "properties": {"list": [{"kept": 1}]}}


@pytest.mark.parametrize(
    "properties",
    [
        {"disablePasswordAuthentication": True},
        {"daysToKey": 3},
        {"keyVaultProperties": {"keyVaultUri": "https://v"}},
        {"identity": {"userAssignedIdentities": {"/subscriptions/1/x/my-key": {"clientId": "c"}}}},
        {"tags": {"costKey": "1", "password": "visible to every reader"}},
        {"streamDeclarations": {"Custom-MyKey": {"columns": []}}},
        {"settings": {"authentication": {"managedIdentity": {"identifier-value": "/x"}}}},
    ],
)
def test_what_only_looks_like_one_stays(properties: dict[str, Any]) -> None:
    """Flags, numbers, identity ids, tags and names of users' own are evidence."""
    assert clean(properties) == properties


def test_a_connection_string_keeps_its_endpoints() -> None:
    """The regional ingestion endpoint of a component is named nowhere else."""
    text = "InstrumentationKey=1-2;IngestionEndpoint=https://we-1.in.applicationinsights.azure.com/;AppId=3"
    assert clean({"properties": {"ConnectionString": text}}) == {
        "properties": {
            "ConnectionString": "IngestionEndpoint=https://we-1.in.applicationinsights.azure.com/;AppId=3"
        }
    }


def test_an_escaped_name_does_not_hide_a_secret() -> None:
    """JSON may write any letter as an escape."""
    (raw,) = redacted([msgspec.Raw(rb'{"client\u0053ecretUrl": "x", "passwor\u0064": "y", "a": 1}')])
    assert msgspec.json.decode(raw) == {"a": 1}


def test_documents_without_secrets_are_kept_byte_for_byte() -> None:
    """Most documents are not even decoded."""
    document = b'{ "id" : "/a",  "properties": {"keyData": 1.0} }'
    (raw,) = redacted([msgspec.Raw(document)])
    assert bytes(raw) == document


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded responses are not beside this checkout")
def test_recorded_identities_lose_their_secret_url() -> None:
    """The real service sends ``clientSecretUrl``; nothing of it is left."""
    text = (DATA / "uami.jsonl").read_text(encoding="utf-8")
    assert "clientSecretUrl" in text
    bodies = [json.loads(line)["response_body"] for line in text.splitlines()]
    left = json.dumps([clean(body) for body in bodies if isinstance(body, dict)])
    assert "clientSecretUrl" not in left
    assert "principalId" in left
