"""Who may query a workspace, row by row of the documented table: path, membership, access mode, workspace."""

from __future__ import annotations

import http.client

import pytest

from pytest_ampls.lab import Lab
from tests.lab.arm_client import Answered
from tests.lab.log_client import serving

PUBLIC = "203.0.113.200"
INSIDE = "192.168.0.200"


def _ask(faults: str, *, mode: str = "", public: str = "", exclusion: str = "") -> Answered:
    """Ask the workspace, with the scope's query mode, an exclusion's, and the workspace's flag as given."""
    with serving(f"hub-and-spoke{faults}") as logs:
        (scope,) = logs.lab.estate.of_type("Microsoft.Insights/privateLinkScopes")
        (workspace,) = logs.lab.estate.of_type("Microsoft.OperationalInsights/workspaces")
        modes = scope["properties"]["accessModeSettings"]
        if mode:
            modes["queryAccessMode"] = mode
        if exclusion:
            (connection,) = logs.lab.estate.of_type(
                "Microsoft.Insights/privateLinkScopes/privateEndpointConnections"
            )
            modes["exclusions"] = [
                {"privateEndpointConnectionName": connection["name"], "queryAccessMode": exclusion}
            ]
        if public:
            workspace["properties"]["publicNetworkAccessForQuery"] = public
        return logs.ask("Heartbeat | count")


def _is_refused_by_network(answered: Answered, client: str) -> bool:
    if answered.status != 403:
        return False
    error = answered.json["error"]
    inner = error.get("innererror", {})
    return (
        error["code"] == "InsufficientAccessError"
        and inner.get("code") == "NspValidationFailedError"
        and f"from '{client}' is denied" in inner["message"]
        and "'amplstest12345'" in inner["message"]
    )


@pytest.mark.parametrize("mode", ["PrivateOnly", "Open"])
@pytest.mark.parametrize("public", ["Disabled", "Enabled"])
def test_a_member_is_answered_privately(mode: str, public: str) -> None:
    """Through the scope that holds the workspace a query is answered, whatever the modes and the flag are."""
    assert _ask("", mode=mode, public=public).status == 200


@pytest.mark.parametrize("public", ["Disabled", "Enabled", "SecuredByPerimeter"])
def test_private_only_keeps_others_out(public: str) -> None:
    """Through a scope that is PrivateOnly a workspace outside of it is refused, even a public one."""
    answered = _ask("+workspace-not-in-scope", mode="PrivateOnly", public=public)
    assert _is_refused_by_network(answered, INSIDE)


@pytest.mark.parametrize(("public", "answered"), [("Enabled", True), ("Disabled", False)])
def test_an_open_scope_leaves_it_to_the_workspace(public: str, answered: bool) -> None:
    """Through a scope that is Open a workspace outside of it decides as for the internet."""
    found = _ask("+workspace-not-in-scope", mode="Open", public=public)
    assert (found.status == 200) is answered
    assert _is_refused_by_network(found, INSIDE) is not answered


@pytest.mark.parametrize(
    ("mode", "exclusion", "status"), [("PrivateOnly", "Open", 200), ("Open", "PrivateOnly", 403)]
)
def test_an_exclusion_comes_first(mode: str, exclusion: str, status: int) -> None:
    """The mode for the connection is its exclusion's, not the scope's."""
    found = _ask("+workspace-not-in-scope", mode=mode, exclusion=exclusion, public="Enabled")
    assert found.status == status


@pytest.mark.parametrize(
    ("public", "answered"), [("Enabled", True), ("Disabled", False), ("SecuredByPerimeter", False)]
)
@pytest.mark.parametrize("mode", ["PrivateOnly", "Open"])
def test_the_internet_is_up_to_the_workspace(mode: str, public: str, answered: bool) -> None:
    """From the internet only the workspace's own flag counts; scopes and their modes do not."""
    found = _ask("+query-refused-network", mode=mode, public=public)
    assert (found.status == 200) is answered
    assert _is_refused_by_network(found, PUBLIC) is not answered


def test_public_names_lead_over_the_internet() -> None:
    """Where the client's resolver knows no private zone, its queries come from the internet."""
    assert _is_refused_by_network(_ask("+resolver-answers-public"), PUBLIC)
    assert _ask("+resolver-answers-public", public="Enabled").status == 200


def test_without_a_role_nothing_is_said() -> None:
    """A missing role and a workspace that there is not look alike, and have no inner error; never 404."""
    answered = _ask("+query-refused-role")
    assert (answered.status, answered.code) == (403, "InsufficientAccessError")
    assert "innererror" not in answered.json["error"]
    with serving("hub-and-spoke") as logs:
        for guid in ("36b87820-0000-0000-0000-86d2a26e7cc2", "amplstest12345", "%27"):
            other = logs.ask("Heartbeat", workspace=guid)
            assert (other.status, other.code) == (403, "InsufficientAccessError")
            assert "innererror" not in other.json["error"]
        assert logs.ask("Heartbeat | count", workspace=logs.workspace.upper()).status == 200


@pytest.mark.parametrize("fault", ["+record-missing", "+connection-pending", ""])
def test_a_name_that_leads_nowhere_is_no_answer(fault: str) -> None:
    """Without an address, with one that is nobody's, and before the connection is approved there is no HTTP at all."""
    with serving(f"hub-and-spoke{fault}") as logs:
        if not fault:
            _point_elsewhere(logs.lab)
        with pytest.raises((http.client.HTTPException, OSError)):
            logs.ask("Heartbeat")


def _point_elsewhere(lab: Lab) -> None:
    for record in lab.estate.of_type("Microsoft.Network/privateDnsZones/A"):
        if record["name"] == "api":
            record["properties"]["aRecords"] = [{"ipv4Address": "192.168.0.120"}]


def test_both_scopes_of_two_answer() -> None:
    """Where two scopes share zones, the client comes through the endpoint that wrote last, in a peered VNet."""
    with serving("two-scopes") as logs:
        assert len(logs.rows("Heartbeat | distinct Computer")) == 2


def test_an_estate_without_networks_or_workspaces() -> None:
    """Nothing is there to be asked: like a workspace that there is not."""
    with serving("empty") as logs:
        assert logs.ask("Heartbeat", workspace="36b87820-3c7e-41fe-851a-86d2a26e7cc2").status == 403
