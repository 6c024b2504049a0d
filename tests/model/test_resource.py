"""Ids, regions and what every resource has."""

from __future__ import annotations

import pytest

from pytest_ampls.errors import DocumentError
from pytest_ampls.model import ResourceId, Workspace
from pytest_ampls.model.resource import key, needed, region, same_id
from tests.builders import SUBSCRIPTION, WORKSPACES, build_estate, resource_id

WS = resource_id(WORKSPACES, "ws")
VM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (VM, ("s", "rg", "Microsoft.Compute/virtualMachines", "vm", None)),
        (
            f"{VM}/extensions/ama/",
            ("s", "rg", "Microsoft.Compute/virtualMachines/extensions", "ama", VM),
        ),
        (
            f"{VM}/providers/microsoft.insights/dataCollectionRuleAssociations/a",
            ("s", "rg", "microsoft.insights/dataCollectionRuleAssociations", "a", VM),
        ),
        (
            "/SUBSCRIPTIONS/S/resourcegroups/RG/Providers/microsoft.network/privatednszones/z/A/x",
            (
                "S",
                "RG",
                "microsoft.network/privatednszones/A",
                "x",
                "/SUBSCRIPTIONS/S/resourcegroups/RG/Providers/microsoft.network/privatednszones/z",
            ),
        ),
        (
            "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/r",
            ("s", "", "Microsoft.Authorization/roleDefinitions", "r", None),
        ),
    ],
)
def test_ids_are_taken_apart(identifier: str, expected: tuple[str | None, ...]) -> None:
    """Subscription, group, type, name and parent, in the id's own spelling."""
    parsed = ResourceId.parse(identifier)
    assert (parsed.subscription, parsed.resource_group, parsed.type, parsed.name, parsed.parent) == expected


@pytest.mark.parametrize(
    "text",
    ["", "vm", "/subscriptions/s", "/subscriptions/s/resourceGroups/rg", VM + "/extensions", "/providers/X"],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    """The message quotes what was given."""
    with pytest.raises(DocumentError, match="is not the id of an Azure resource") as caught:
        ResourceId.parse(text)
    assert repr(text) in str(caught.value)


def test_ids_compare_without_case() -> None:
    """Case, blanks around and a slash at the end do not matter; a missing id equals nothing."""
    assert key(f" {WS.upper()}/ ") == key(WS)
    assert same_id(WS.upper(), WS)
    assert not same_id(WS, WS + "2")
    assert not same_id(None, None)
    assert not same_id(WS, None)


def test_regions_compare_however_they_are_written() -> None:
    """Display name and code are one region; a missing location is none."""
    assert region("West Europe") == region("westeurope") == "westeurope"
    assert region(None) == ""


def test_a_resource_tells_where_it_is() -> None:
    """Group, subscription, label and a short representation; a document without a name has its id's."""
    estate = build_estate({WORKSPACES: [{"id": WS.lower(), "properties": {}, "tags": {"env": None}}]})
    (workspace,) = estate.workspaces
    assert (workspace.name, workspace.label, workspace.resource_group) == ("", "ws", "rg")
    assert workspace.subscription == SUBSCRIPTION
    assert workspace.estate is estate
    assert workspace.tags == {"env": None}
    assert repr(workspace) == f"<Workspace 'ws' {WS.lower()}>"


def test_a_missing_value_names_document_and_path() -> None:
    """A rule that needs a property gets it, or an error that says which document lacks it."""
    (workspace,) = build_estate({WORKSPACES: [{"id": WS, "name": "ws", "properties": {}}]}).all(Workspace)
    assert needed(0, workspace, "properties.x") == 0
    for nothing in (None, ""):
        with pytest.raises(DocumentError, match=r"workspace 'ws' \(.*\) was read without properties\.x"):
            needed(nothing, workspace, "properties.x")
