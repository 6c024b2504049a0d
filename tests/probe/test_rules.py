"""The rules about connections, on the lab's endpoints and on handshakes that were spoilt."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest

from pytest_ampls.assertions import (
    assert_chain_not_resigned,
    assert_endpoint_reachable,
    assert_tls_minimum,
)
from pytest_ampls.assertions.transport import _on_address
from pytest_ampls.catalogue import Rule, Verdict, judgements
from pytest_ampls.errors import ConfigurationError, EvidenceError, NotReadError, UnreachableError
from pytest_ampls.lab import Lab, LabError, faults
from pytest_ampls.model import Estate, Gap, GapKind, PrivateEndpoint
from tests.assertions.machines import findings, why_not_applicable
from tests.probe.lab import probed, with_handshakes

ALL: list[Rule[Any]] = [assert_tls_minimum, assert_chain_not_resigned, assert_endpoint_reachable]
IDS = [rule.id for rule in ALL]
FAULTS = [fault for fault in faults().values() if fault.kind == "probe"]


def endpoint(estate: Estate) -> PrivateEndpoint:
    """Return the estate's private endpoint."""
    return estate.private_endpoints[0]


def spoilt(**changes: Any) -> PrivateEndpoint:
    """Return the lab's private endpoint with one handshake, that of the ods name, changed."""
    estate = probed("hub-and-spoke")
    return endpoint(
        with_handshakes(
            estate,
            *(
                msgspec.structs.replace(shake, **changes) if ".ods." in shake.name else shake
                for shake in estate.snapshot.handshakes
            ),
        )
    )


def verdict(rule: Rule[Any], subject: PrivateEndpoint) -> Verdict:
    """Return what becomes of a rule."""
    with judgements() as kept, suppress(AssertionError, EvidenceError):
        rule(subject)
    (found,) = kept
    return found.verdict


@pytest.mark.parametrize("estate", ["hub-and-spoke", "two-scopes", "fleet:vms=3"])
def test_healthy_endpoints_hold(estate: str) -> None:
    """Every rule holds on every endpoint of a healthy lab."""
    for subject in probed(estate).private_endpoints:
        assert {rule.id: verdict(rule, subject) for rule in ALL} == dict.fromkeys(IDS, Verdict.HELD)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_breaks_the_rules_it_names(fault: Any) -> None:
    """A fault breaks just the rules of its entry, and blinds just those of it."""
    verdicts = {rule.id: verdict(rule, endpoint(probed(f"hub-and-spoke+{fault.name}"))) for rule in ALL}
    assert {rule for rule, found in verdicts.items() if found is Verdict.BROKEN} == set(fault.breaks)
    assert {rule for rule, found in verdicts.items() if found is Verdict.UNVERIFIED} == set(fault.blinds)


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_without_a_probe_there_is_no_verdict(rule: Rule[Any]) -> None:
    """Where no probe was asked for, the rules do not apply, and name the option."""
    assert "--ampls-probe" in why_not_applicable(rule, endpoint(with_handshakes(probed("hub-and-spoke"))))


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_an_address_that_was_not_probed_is_unverified(rule: Rule[Any]) -> None:
    """An endpoint of which one address is missing among the handshakes does not pass."""
    estate = probed("hub-and-spoke")
    others = [shake for shake in estate.snapshot.handshakes if ".ods." not in shake.name]
    with pytest.raises(NotReadError, match="1 of its addresses were not probed"):
        rule(endpoint(with_handshakes(estate, *others)))


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_what_a_guest_saw_does_not_count(rule: Rule[Any]) -> None:
    """A handshake from elsewhere says nothing about the runner's."""
    with pytest.raises(NotReadError, match="not probed"):
        rule(spoilt(vantage_point="spoke1"))


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_an_address_that_was_not_tried_is_unverified(rule: Rule[Any]) -> None:
    """A probe that failed on this side proves nothing about the endpoint."""
    with pytest.raises(NotReadError, match="too many open files"):
        rule(spoilt(gap=Gap(kind=GapKind.NOT_READ, message="too many open files"), reached=False))


@pytest.mark.parametrize("rule", ALL[:2], ids=IDS[:2])
def test_what_did_not_answer_is_unverified(rule: Rule[Any]) -> None:
    """Versions and certificates of an address that did not answer are not known."""
    with pytest.raises(UnreachableError, match="no answer"):
        rule(spoilt(gap=Gap(kind=GapKind.UNREACHABLE, message="no answer"), reached=False))


def test_unreachable() -> None:
    """An address that does not answer is a finding that says what was seen and how to see it."""
    (found,) = findings(
        assert_endpoint_reachable, spoilt(gap=Gap(kind=GapKind.UNREACHABLE, message="dropped"))
    )
    assert found.observed == "dropped"
    assert found.evidence.startswith('openssl s_client -connect "192.168.0.69:443" -servername "36b87820-')
    assert found.tokens["address"] == "192.168.0.69"
    assert found.read.startswith("by a connection at 20")


def test_an_ipv6_address_is_written_in_brackets() -> None:
    """The command that shows it works for IPv6 as well."""
    estate = probed("hub-and-spoke")
    subject = endpoint(estate)
    shake = msgspec.structs.replace(estate.snapshot.handshakes[0], trusted=False, distrust="no")
    shake = msgspec.structs.replace(shake, address="fd00::1")
    assert '"[fd00::1]:443"' in _on_address(subject, shake, expected="x", observed="y").evidence


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1", "SSLv3", ""])
def test_an_old_version_is_agreed_on(version: str) -> None:
    """What is agreed on must be new enough, and known."""
    (found,) = findings(assert_tls_minimum, spoilt(version=version))
    assert (version or "no version") in found.observed


def test_old_versions_are_accepted() -> None:
    """Old versions that are accepted where offered alone are named, with the command that shows the first."""
    outcomes = {"TLSv1": "refused", "TLSv1.1": "accepted", "TLSv1.2": "accepted", "TLSv1.3": "accepted"}
    (found,) = findings(assert_tls_minimum, spoilt(versions=outcomes))
    assert found.observed.startswith("TLSv1.1 accepted")
    assert " -tls1_1 " in found.evidence


@pytest.mark.parametrize("outcomes", [{}, {"TLSv1": "untested: not offered here", "TLSv1.1": "refused"}])
def test_an_untested_version_is_unverified(outcomes: dict[str, str]) -> None:
    """A version that was not tried may be accepted: that is never a pass."""
    with pytest.raises(NotReadError, match="TLSv1 is untested"):
        assert_tls_minimum(spoilt(versions=outcomes))


def test_another_minimum() -> None:
    """TLS 1.2 is too old where 1.3 is demanded, and a version that nobody knows is a mistake."""
    subject = endpoint(probed("hub-and-spoke"))
    found = list(assert_tls_minimum.check(subject, minimum="TLSv1.3"))
    assert len(found) == len(subject.estate.snapshot.handshakes)
    assert {finding.observed for finding in found} == {"TLSv1.2 accepted, where offered alone"}
    with pytest.raises(ConfigurationError, match=r"minimum='1\.2' is none of TLSv1"):
        list(assert_tls_minimum.check(subject, minimum="1.2"))


def test_expected_issuers() -> None:
    """A trusted chain of an issuer that is not expected is a finding; one match in the chain is enough."""
    subject = endpoint(probed("hub-and-spoke"))
    assert not list(assert_chain_not_resigned.check(subject, expected_issuers=["*o=AMPLS LAB*", "*none*"]))
    found = list(assert_chain_not_resigned.check(subject, expected_issuers=["*O=Microsoft Corporation*"]))
    assert len(found) == len(subject.estate.snapshot.handshakes)
    assert "O=ampls lab (throw-away)" in found[0].observed


def test_a_resigned_chain_names_who_signed() -> None:
    """The finding says why the chain is not accepted, and by whom it is."""
    (found,) = findings(assert_chain_not_resigned, endpoint(probed("hub-and-spoke+resigned-chain")))
    assert "O=TLS inspection (throw-away)" in found.observed
    assert "issuer is not trusted" in found.observed


def test_a_certificate_of_another_name_says_whose() -> None:
    """A trusted certificate for another name is told apart from an untrusted one."""
    subject = endpoint(probed("hub-and-spoke+certificate-of-other-name"))
    (found,) = findings(assert_chain_not_resigned, subject)
    assert "for another name" in found.observed
    assert "service.example.com" in found.observed


def test_endpoints_are_served_when_asked_for() -> None:
    """A lab opens ports for its endpoints only when it is told to, once, and forgets them when it stops."""
    lab = Lab.from_spec("hub-and-spoke")
    with pytest.raises(LabError, match="not started"):
        lab.serve_endpoints()
    with lab:
        assert lab.address_map == {}
        served = lab.serve_endpoints()
        assert lab.serve_endpoints() == lab.address_map == served
        assert served["192.168.0.69"].startswith("127.0.0.1:")
    assert lab.address_map == {}
