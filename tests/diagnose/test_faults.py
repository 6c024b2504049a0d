"""The diagnosis over the lab: for each fault of the known failures the first broken link, by stage and rule."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pytest_ampls import diagnose
from pytest_ampls.assertions.tracing import trace
from pytest_ampls.lab import faults
from pytest_ampls.model import Estate, Snapshot
from pytest_ampls.symptoms import SYMPTOMS
from tests.assertions.machines import machine
from tests.guards.suite import lab_snapshot

Link = tuple[int | None, str | None]
NONE: Link = (None, None)

# Row and fault to (stage of the first broken link, rule that names it); the machine is the one that faults hit.
FIRST: dict[str, dict[str, Link]] = {
    "F01": {
        "missing-config-endpoint": (6, "AMPLS402"),
        "dce-not-in-scope": (6, "AMPLS404"),
        "mdsd-dce-403": (6, "AMPLS524"),
    },
    "F02": {"zone-unlinked": (9, "AMPLS301"), "mdsd-ods-403": (9, "AMPLS524")},
    "F03": {"zones-linked-elsewhere": (6, "AMPLS301"), "spoke-bypasses-hub-dns": (6, "AMPLS301")},
    "F04": {"later-workspace-unrecorded": (9, "AMPLS302"), "zone-group-incomplete": NONE},
    "F05": {"workspace-not-in-scope": (9, "AMPLS407")},
    "F06": {
        "forwarding-only-monitor": (9, "AMPLS308"),
        "forwarding-rule-missing": (9, "AMPLS308"),
        "forwarding-rules-private": (6, "AMPLS308"),
    },
    "F07": {"empty-zone-linked": (6, "AMPLS305")},
    "F08": {"resolver-answers-public": (6, "AMPLS310")},
    "F10": {
        "token-no-imds": (5, "AMPLS521"),
        "identity-detached": (4, "AMPLS502"),
        "mdsd-no-token": (5, "AMPLS524"),
    },
    "F11": {"identity-detached": (4, "AMPLS502"), "token-identity-not-found": (5, "AMPLS521")},
    "F12": {"identity-ambiguous": (3, "AMPLS503"), "token-multiple-identities": (5, "AMPLS521")},
    "F13": {"agent-stopped": (2, "AMPLS520")},
    "F14": {
        "chunk-missing": (7, "AMPLS525"),
        "destination-out-of-scope": (9, "AMPLS407"),
        "rule-endpoint-of-another-scope": (9, "AMPLS111"),
    },
    "F15": {
        "second-scope-overwrites": (6, "AMPLS303"),
        "second-scope-deletes-records": (6, "AMPLS302"),
        "second-scope-beside": (6, "AMPLS303"),
        "scopes-share-zones": NONE,
    },
    "F16": {"endpoint-made-anew": (6, "AMPLS303"), "record-stale": NONE},
    "F17": {"hosts-override": (9, "AMPLS313")},
    "F18": {"record-missing-falls-back": (9, "AMPLS302")},
    "F19": {"record-empty": (6, "AMPLS302")},
    "F20": {
        "guest-chain-resigned": (6, "AMPLS523"),
        "resigned-chain": (9, "AMPLS902"),
        "mdsd-ssl-handshake": (6, "AMPLS524"),
    },
    "F22": {"missing-rule-association": (7, "AMPLS401"), "chunk-missing": (7, "AMPLS525")},
    "F23": {"public-gateway-answers": (6, "AMPLS522")},
    "F24": {"legacy-agent-refused": NONE, "legacy-agent": NONE},
    "F26": {"near-miss-association": (6, "AMPLS402"), "reserved-name-holds-rule": (6, "AMPLS402")},
    "F27": {"flexible-instance-unassociated": (6, "AMPLS402")},
    "F28": {"config-endpoint-other-region": (6, "AMPLS405")},
    "F29": {"gcs-mode": (2, "AMPLS526")},
    "F30": {
        "connection-pending": (6, "AMPLS201"),
        "connection-rejected": (6, "AMPLS201"),
        "connection-disconnected": (6, "AMPLS201"),
        "connection-seen-differently": (6, "AMPLS201"),
    },
    "F31": {
        "spoke-not-peered": (6, "AMPLS207"),
        "nsg-denies-outbound": (6, "AMPLS208"),
        "route-blackholed": (6, "AMPLS523"),
        "guest-port-dropped": (6, "AMPLS523"),
        "port-443-dropped": (9, "AMPLS903"),
    },
    "F32": {"firewall-bypassed": NONE},
    "F34": {"zone-group-lacks-blob": NONE},
    "F35": {"blob-zone-shadows-account": NONE},
}
HARMLESS = {
    "zone-group-incomplete": "its record was made by hand, and is right",
    "scopes-share-zones": "only telemetry of an application loses its record",
    "record-stale": "the name is that of queries, which no agent sends",
    "legacy-agent-refused": "the retired agent's name is the oms one, which its successor does not use",
    "legacy-agent": "the other agent goes on",
    "firewall-bypassed": "the data arrives, unseen by the firewall",
    "zone-group-lacks-blob": "the name is that of the retired agent's solution packs",
    "blob-zone-shadows-account": "the account is not the agent's",
}
"""Faults of the estate that stop no data of the agent, with the reason: a diagnosis that names one is wrong."""
HIT = {"flexible-instance-unassociated": "flex_8d9e0f1a", "scopes-share-zones": "blue1"}
CASES = [(row, fault) for row, several in FIRST.items() for fault in several]


def diagnosed(snapshot: Snapshot, name: str) -> tuple[dict[str, Any], int]:
    """Return the diagnosis of a machine, and the exit code."""
    text, code = diagnose.run(Estate(snapshot), [name], form="json")
    found: dict[str, Any] = json.loads(text)["machines"][0]
    return found, code


def snapshot_of(fault: str) -> Snapshot:
    """Return the evidence of the first estate that a fault applies to."""
    return lab_snapshot(f"{faults()[fault].estates[0]}+{fault}")


def test_every_fault_of_a_row_is_here() -> None:
    """What the page of symptoms offers to see is what is diagnosed; faults of log queries have tests of their own."""
    rows = {
        symptom.id: {name for name in symptom.faults if faults()[name].kind != "logs"} for symptom in SYMPTOMS
    }
    assert {row: set(several) for row, several in FIRST.items()} == {
        row: several for row, several in rows.items() if several
    }
    assert {fault for row, fault in CASES if FIRST[row][fault] == NONE} == set(HARMLESS)


@pytest.mark.parametrize(("row", "fault"), CASES, ids=[f"{row}-{fault}" for row, fault in CASES])
def test_the_first_broken_link_is_named(row: str, fault: str) -> None:
    """Stage and rule of what is to mend first, and an exit code that says whether anything is."""
    found, code = diagnosed(snapshot_of(fault), HIT.get(fault, "spoke1"))
    assert (found["firstBroken"], found["rule"]) == FIRST[row][fault]
    assert code == (diagnose.UNKNOWN if fault in HARMLESS else diagnose.BROKEN)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("nsg-denies-outbound", "spoke3"),
        ("nsg-of-interface-denies", "spoke3"),
        ("nsg-denies-inbound", "spoke1"),
        ("route-blackholed", "spoke3"),
    ],
)
def test_a_neighbour_is_not_stopped(fault: str, name: str) -> None:
    """What stops one machine's connections is not named for a machine that it does not stop."""
    found, _ = diagnosed(snapshot_of(fault), name)
    assert (found["firstBroken"], found["rule"]) == NONE


@pytest.mark.parametrize(
    ("fault", "name", "link"),
    [
        ("nsg-of-interface-denies", "spoke1", (6, "AMPLS208")),
        ("nsg-denies-inbound", "spoke2", (6, "AMPLS208")),
    ],
)
def test_a_security_group_is_named_for_whom_it_stops(fault: str, name: str, link: Link) -> None:
    """The group of an interface stops that machine, the endpoint's group the clients that it denies."""
    found, _ = diagnosed(snapshot_of(fault), name)
    assert (found["firstBroken"], found["rule"]) == link


def _changed(fault: str, name: str, **changes: str) -> Snapshot:
    """Return the evidence of a fault with its security rule changed."""

    def change(raw: msgspec.Raw) -> msgspec.Raw:
        document = msgspec.json.decode(raw)
        for rule in document.get("properties", {}).get("securityRules", ()):
            if rule["name"] == name:
                rule["properties"].update(changes)
        return msgspec.Raw(msgspec.json.encode(document))

    snapshot = snapshot_of(fault)
    readings = tuple(
        msgspec.structs.replace(reading, documents=tuple(map(change, reading.documents)))
        for reading in snapshot.readings
    )
    return msgspec.structs.replace(snapshot, readings=readings)


def test_a_security_group_that_denies_an_upload_stops_the_upload() -> None:
    """A rule about one address is in the way of the names that lead there, and of no other."""
    snapshot = _changed("nsg-denies-outbound", "DenyEverything", destinationAddressPrefix="192.168.0.69/32")
    found, _ = diagnosed(snapshot, "spoke1")
    assert (found["firstBroken"], found["rule"]) == (9, "AMPLS208")


def test_a_security_group_that_denies_one_machine_stops_no_other_of_its_subnet() -> None:
    """A rule about a part of a subnet is in the way of the machines there."""
    snapshot = _changed("nsg-denies-inbound", "DenySpoke2", sourceAddressPrefix="192.168.3.10/32")
    stopped, _ = diagnosed(snapshot, "flex_3f1a2b0c")
    assert (stopped["firstBroken"], stopped["rule"]) == (6, "AMPLS208")
    for name in ("flex_8d9e0f1a", "spoke3"):
        found, _ = diagnosed(snapshot, name)
        assert (found["firstBroken"], found["rule"]) == NONE


@pytest.mark.parametrize(
    ("fault", "rule"), [("spoke-not-peered", "AMPLS207"), ("nsg-denies-outbound", "AMPLS208")]
)
def test_a_machine_that_shook_hands_has_a_way(fault: str, rule: str) -> None:
    """A missing peering, or a group that denies, is a minor finding where the machine got through all the same."""
    guests = lab_snapshot("hub-and-spoke", guests=True).guests
    path = trace(machine(Estate(msgspec.structs.replace(snapshot_of(fault), guests=guests)), "spoke1"))
    assert path.first_broken is None
    assert [check.rule for check in path.stages[5].checks if check.minor] == [rule]
