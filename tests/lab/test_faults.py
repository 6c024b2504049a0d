"""Faults of estates: each applies, changes little, and goes together with others."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.lab import Lab, LabError, faults

_ESTATE_FAULTS = [fault for fault in faults().values() if fault.kind == "estate"]

# Documents that change by nature of the fault; everything else stays below a dozen.
_MANY = {
    "too-many-rules": 60,
    "second-scope-in-vnet": 37,
    "second-scope-overwrites": 45,
    "second-scope-deletes-records": 45,
    "second-scope-beside": 40,
    "zone-group-without-records": 16,
    "rule-endpoint-of-another-scope": 60,
    "endpoint-made-anew": 20,
    "later-workspace-unrecorded": 14,
}


def _by_id(spec: str) -> dict[str, dict[str, Any]]:
    return {document["id"].lower(): document for document in Lab.from_spec(spec).documents()}


_HEALTHY = {"hub-and-spoke": _by_id("hub-and-spoke"), "two-scopes": _by_id("two-scopes")}


def _changed(estate: str, suffix: str) -> set[str]:
    healthy, broken = _HEALTHY[estate], _by_id(estate + suffix)
    return {key for key in healthy.keys() | broken.keys() if healthy.get(key) != broken.get(key)}


@pytest.mark.parametrize("fault", _ESTATE_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_a_small_change(fault: Any) -> None:
    """Every fault changes something, and no more than it needs to."""
    estate = fault.estates[0]
    changed = _changed(estate, f"+{fault.name}")
    assert 1 <= len(changed) <= _MANY.get(fault.name, 12)


@pytest.mark.parametrize("fault", _ESTATE_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_applies_to_its_estates(fault: Any) -> None:
    """A fault can be applied to every estate that it names."""
    for estate in fault.estates:
        small = "fleet:vms=3" if estate == "fleet" else estate
        assert Lab.from_spec(f"{small}+{fault.name}").fault_names == (fault.name,)


@pytest.mark.parametrize("fault", _ESTATE_FAULTS, ids=lambda fault: fault.name)
def test_references_still_lead_somewhere(fault: Any) -> None:
    """Interfaces, subnets and machines that documents point to exist, whatever the fault."""
    documents = _by_id(f"{fault.estates[0]}+{fault.name}")
    for document in documents.values():
        properties = document["properties"]
        for entry in properties.get("networkInterfaces", []):
            assert entry["id"].lower() in documents
        if document["type"].endswith("/dataCollectionRuleAssociations"):
            assert document["id"].lower().partition("/providers/microsoft.insights")[0] in documents
            (target,) = properties.values()
            assert target.lower() in documents


def test_faults_compose() -> None:
    """Two faults together change what each of them changes."""
    both = _changed("hub-and-spoke", "+agent-missing+query-open")
    assert both == _changed("hub-and-spoke", "+agent-missing") | _changed("hub-and-spoke", "+query-open")


@pytest.mark.parametrize(
    "spec",
    [
        "hub-and-spoke+missing-config-endpoint+near-miss-association",
        "fleet:vms=6+agent-missing+agent-failed",
        "fleet:vms=6+missing-rule-association+reserved-name-holds-rule",
    ],
)
def test_faults_that_contradict_each_other(spec: str) -> None:
    """What the second would change is gone: it is named, and nobody sees a traceback."""
    second = spec.rpartition("+")[2]
    with pytest.raises(LabError, match=f"{second}.*finds nothing to change"):
        Lab.from_spec(spec)


def test_leaving_the_scope_takes_the_names_along() -> None:
    """When the workspace leaves the scope, its names go everywhere: records, members, membership."""
    documents = _by_id("hub-and-spoke+workspace-not-in-scope")
    customer = "36b87820-3c7e-41fe-851a-86d2a26e7cc2"
    for document in documents.values():
        if document["type"] == "Microsoft.OperationalInsights/workspaces":
            assert "privateLinkScopedResources" not in document["properties"]
        elif document["type"] != "Microsoft.Insights/dataCollectionRules":
            assert customer not in str(document)
    required = next(d for d in documents.values() if d["type"].endswith("/privatelinkresources"))
    assert not any(name.startswith(("oms-", "ods-")) for name in required["properties"]["requiredMembers"])


def test_joining_the_scope_brings_the_names_along() -> None:
    """An endpoint of another region that joins the scope gets addresses, records and members."""
    documents = _by_id("hub-and-spoke+config-endpoint-other-region")
    names = [key for key in documents if "/a/dce-northeurope-" in key]
    assert len(names) == 3
    addresses = {documents[key]["properties"]["aRecords"][0]["ipv4Address"] for key in names}
    assert addresses == {"192.168.0.83", "192.168.0.84", "192.168.0.85"}


def test_a_second_scope_takes_the_shared_records_only() -> None:
    """The last to write wins the names that all scopes have; names of a single resource stay and are added to."""
    healthy, documents = _HEALTHY["hub-and-spoke"], _by_id("hub-and-spoke+second-scope-overwrites")
    records = {key: each for key, each in documents.items() if each["type"].endswith("privateDnsZones/A")}
    taken = {each["name"] for key, each in records.items() if key in healthy and each != healthy[key]}
    assert taken >= {"api", "global.handler.control", "global.in.ai", "westeurope-5.in.ai", "live"}
    for key, each in records.items():
        (address,) = (entry["ipv4Address"] for entry in each["properties"]["aRecords"])
        assert address.startswith("10.9.0.") == (each["name"] in taken or key not in healthy)


def test_workspaces_of_a_region_share_an_address() -> None:
    """A workspace that joins later gets the address that its region has already, and needs no other member."""
    documents = _by_id("hub-and-spoke+later-workspace-unrecorded")
    (endpoint,) = (d for d in documents.values() if d["type"] == "Microsoft.Network/privateEndpoints")
    ods = [e for e in endpoint["properties"]["customDnsConfigs"] if ".ods." in e["fqdn"]]
    assert len(ods) == 2
    assert ods[0]["ipAddresses"] == ods[1]["ipAddresses"]
    before = {key for key in _HEALTHY["hub-and-spoke"] if "/privatelinkresources/" in key}
    assert all(documents[key] == _HEALTHY["hub-and-spoke"][key] for key in before)


def test_scopes_share_zones_keeps_the_other_scope() -> None:
    """The record that only one scope needs any more is still there, with that scope's address."""
    documents = _by_id("two-scopes+scopes-share-zones")
    (record,) = [d for k, d in documents.items() if k.endswith("/a/westeurope-5.in.ai")]
    assert record["properties"]["aRecords"][0]["ipv4Address"].startswith("10.2.")
    component = next(d for d in documents.values() if d["type"] == "microsoft.insights/components")
    assert len(component["properties"]["PrivateLinkScopedResources"]) == 1
