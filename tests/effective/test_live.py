"""What an address and a live answer amount to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_ampls.effective.live import AddressClass, AnswerKind, address_class, judged
from pytest_ampls.model import Answer

EVIDENCE = Path(__file__).parents[3] / "shared" / "data" / "dns_evidence.json"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.0.0.4", AddressClass.PRIVATE),
        ("172.16.0.1", AddressClass.PRIVATE),
        ("172.31.255.255", AddressClass.PRIVATE),
        ("172.32.0.1", AddressClass.PUBLIC),
        ("192.168.0.68", AddressClass.PRIVATE),
        ("100.64.0.1", AddressClass.PRIVATE),
        ("100.128.0.1", AddressClass.PUBLIC),
        ("203.0.113.5", AddressClass.PUBLIC),
        ("198.51.100.5", AddressClass.PUBLIC),
        ("20.150.190.99", AddressClass.PUBLIC),
        ("0.0.0.0", AddressClass.UNUSABLE),
        ("127.0.0.1", AddressClass.UNUSABLE),
        ("169.254.1.1", AddressClass.UNUSABLE),
    ],
)
def test_addresses_have_a_class(address: str, kind: AddressClass) -> None:
    """Documentation ranges stand for public addresses; RFC 6598 counts as private."""
    assert address_class(address) is kind


def test_an_alias_through_privatelink_proves_nothing() -> None:
    """The final address decides."""
    name = "api.monitor.azure.com"
    chain = (name, "api.privatelink.monitor.azure.com", "draftprodglobal.trafficmanager.net")
    found = Answer(vantage_point="there", name=name, chain=chain, addresses=("203.0.113.5",))
    assert judged(found, frozenset({"10.0.0.4"})) is AnswerKind.PUBLIC


@pytest.mark.skipif(not EVIDENCE.exists(), reason="the reported answers are not beside the checkout")
def test_reported_answers_of_real_deployments_get_the_reported_verdict() -> None:
    """What others published about their estates: private or not."""
    cases = [case for case in json.loads(EVIDENCE.read_text())["cases"] if "a" in case]
    assert len(cases) >= 5
    for case in cases:
        found = Answer(vantage_point="there", name=case["query"], addresses=tuple(case["a"]))
        private = judged(found, frozenset()) is AnswerKind.FOREIGN  # private, and no endpoint known
        assert private == (case["expected_verdict"] == "private"), case["id"]
