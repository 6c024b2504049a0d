"""ARM as the lab answers it: listings, single reads, api-versions, refusals."""

from __future__ import annotations

import pytest

from pytest_ampls.lab import Lab
from tests.lab.arm_client import ArmClient

_SCOPES = "microsoft.insights/privateLinkScopes"


def test_listing_of_a_subscription_and_of_a_group(arm: ArmClient) -> None:
    """A type is listed for the subscription and for a group, in whatever case the path is."""
    everywhere = arm.list(f"{arm.subscription}/providers/Microsoft.Compute/virtualMachines", "2024-11-01")
    shouted = arm.group.upper().replace("/SUBSCRIPTIONS/", "/subscriptions/")
    grouped = arm.list(f"{shouted}/PROVIDERS/microsoft.compute/VIRTUALMACHINES", "2024-11-01")
    assert [row["name"] for row in everywhere] == [row["name"] for row in grouped]
    assert {"hub", "spoke1", "spoke2", "spoke3", "spoke4"} < {row["name"] for row in everywhere}


def test_single_read_has_extensions(arm: ArmClient) -> None:
    """A VM that is read alone carries its extensions under resources, a listed one does not."""
    path = f"{arm.group}/providers/Microsoft.Compute/virtualMachines"
    alone = arm.get(f"{path}/spoke1?api-version=2024-11-01").json
    assert [extension["name"] for extension in alone["resources"]] == ["AzureMonitorLinuxAgent"]
    assert all("resources" not in row for row in arm.list(path, "2024-11-01"))


def test_associations_from_both_sides(arm: ArmClient) -> None:
    """The machine's listing keeps the case of names, the endpoint's writes them in lower case."""
    machine = f"{arm.group}/providers/Microsoft.Compute/virtualMachines/spoke1"
    own = arm.list(f"{machine}/providers/Microsoft.Insights/dataCollectionRuleAssociations", "2023-03-11")
    assert {row["name"] for row in own} == {"dcr-linux-association", "configurationAccessEndpoint"}
    endpoint = f"{arm.group}/providers/Microsoft.Insights/dataCollectionEndpoints/dce-westeurope"
    listed = arm.list(f"{endpoint}/associations", "2023-03-11")
    assert {row["name"] for row in listed} == {"configurationaccessendpoint"}
    # Hub, four spokes, two Flexible instances, the Uniform set, the Arc machine.
    assert len(listed) == 9


@pytest.mark.parametrize(
    ("version", "present"),
    [("2019-10-17-preview", False), ("2021-07-01-preview", True), ("2021-09-01", True)],
)
def test_access_modes_by_version(arm: ArmClient, version: str, present: bool) -> None:
    """Access modes are sent from 2021-07-01-preview on."""
    (scope,) = arm.list(f"{arm.subscription}/providers/{_SCOPES}", version)
    assert ("accessModeSettings" in scope["properties"]) is present


@pytest.mark.parametrize(
    ("path", "old", "new", "key"),
    [
        (f"{_SCOPES}/ampls/scopedResources", "2021-09-01", "2023-06-01-preview", "kind"),
        (f"{_SCOPES}/ampls/privateEndpointConnections", "2021-09-01", "2023-06-01-preview", "groupIds"),
        (
            "Microsoft.Network/privateDnsZones/privatelink.monitor.azure.com/virtualNetworkLinks",
            "2020-06-01",
            "2024-06-01",
            "resolutionPolicy",
        ),
        ("Microsoft.Insights/dataCollectionEndpoints", "2021-04-01", "2023-03-11", "metricsIngestion"),
        ("Microsoft.Insights/components", "2015-05-01", "2020-02-02", "WorkspaceResourceId"),
    ],
)
def test_properties_appear_with_versions(arm: ArmClient, path: str, old: str, new: str, key: str) -> None:
    """A property that came with an api-version is not sent with older ones."""
    target = f"{arm.group}/providers/{path}"
    assert key not in arm.list(target, old)[0]["properties"]
    assert key in arm.list(target, new)[0]["properties"]


def test_zone_names_by_version(arm: ArmClient) -> None:
    """The storage zone is required since 2021."""
    path = f"{arm.group}/providers/{_SCOPES}/ampls/privateLinkResources"
    (old,) = arm.list(path, "2019-10-17-preview")
    (new,) = arm.list(path, "2021-09-01")
    assert len(old["properties"]["requiredZoneNames"]) == 4
    assert set(new["properties"]["requiredZoneNames"]) - set(old["properties"]["requiredZoneNames"]) == {
        "privatelink.blob.core.windows.net"
    }


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("{s}/providers/Microsoft.Insights/privateLinkScopes", 400, "MissingApiVersionParameter"),
        (
            "{s}/providers/Microsoft.Insights/privateLinkScopes?api-version=new",
            400,
            "InvalidApiVersionParameter",
        ),
        (
            "{s}/providers/Microsoft.Insights/privateLinkScopes?api-version=2022-02-02",
            400,
            "NoRegisteredProviderFound",
        ),
        ("{s}/providers/Microsoft.Insights/nothing?api-version=2021-09-01", 404, "InvalidResourceType"),
        ("{s}/providers/Microsoft.Nothing/things?api-version=2021-09-01", 404, "InvalidResourceNamespace"),
        ("/subscriptions/none/providers/x/y?api-version=2021-09-01", 404, "SubscriptionNotFound"),
        ("/subscriptions/none?api-version=2022-12-01", 404, "SubscriptionNotFound"),
        ("{s}/resourceGroups/none?api-version=2022-09-01", 404, "ResourceGroupNotFound"),
        (
            "{s}/resourceGroups/none/providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01",
            404,
            "ResourceGroupNotFound",
        ),
        (
            "{g}/providers/Microsoft.Compute/virtualMachines/none?api-version=2024-11-01",
            404,
            "ResourceNotFound",
        ),
        (
            "{g}/providers/Microsoft.Compute/virtualMachines/none/extensions?api-version=2024-11-01",
            404,
            "ParentResourceNotFound",
        ),
        (
            "{g}/providers/Microsoft.Compute/virtualMachines/none/providers/Microsoft.Insights"
            "/dataCollectionRuleAssociations?api-version=2023-03-11",
            404,
            "ResourceNotFound",
        ),
        (
            "{g}/providers/Microsoft.Insights/dataCollectionRules/none/associations?api-version=2023-03-11",
            404,
            "ResourceNotFound",
        ),
        (
            "{g}/providers/Microsoft.Compute/virtualMachines/hub/providers/Microsoft.Network"
            "/virtualNetworks?api-version=2024-05-01",
            404,
            "InvalidResourceType",
        ),
        ("{s}/resources?api-version=2022-09-01&$filter=name eq 'x'", 400, "InvalidFilterInQueryString"),
        ("{s}/resources?api-version=1999-01-01", 400, "InvalidApiVersionParameter"),
        (
            "{s}/providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01&$skiptoken=x",
            400,
            "InvalidSkipToken",
        ),
        ("/nothing?api-version=2022-09-01", 404, "NotFound"),
    ],
)
def test_refusals(arm: ArmClient, target: str, status: int, code: str) -> None:
    """What Azure refuses is refused with its status and code."""
    answered = arm.get(target.format(s=arm.subscription, g=arm.group))
    assert (answered.status, answered.code) == (status, code)


def test_unsupported_version_names_the_supported_ones(arm: ArmClient) -> None:
    """The refusal of an api-version says which there are."""
    answered = arm.get(f"{arm.subscription}/providers/{_SCOPES}?api-version=2022-02-02")
    assert "2021-09-01, 2023-06-01-preview" in answered.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "action"), [("PUT", "write"), ("PATCH", "write"), ("DELETE", "delete"), ("POST", "action")]
)
def test_writes_are_refused(arm: ArmClient, method: str, action: str) -> None:
    """The lab's principal is a Reader: nothing can be changed, and the refusal names the action."""
    path = f"{arm.group}/providers/Microsoft.Insights/dataCollectionRules/dcr-linux?api-version=2023-03-11"
    answered = arm.send(method, path, headers=arm.bearer(), body=b"{}")
    assert (answered.status, answered.code) == (403, "AuthorizationFailed")
    assert f"'microsoft.insights/datacollectionrules/{action}'" in answered.json["error"]["message"]


def test_next_link_key(arm: ArmClient) -> None:
    """The last page has a null link for scopes and associations, and no link at all for VMs."""
    scopes = arm.get(f"{arm.subscription}/providers/{_SCOPES}?api-version=2021-09-01").json
    machines = arm.get(
        f"{arm.subscription}/providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01"
    )
    assert scopes["nextLink"] is None
    assert "nextLink" not in machines.json


def test_paging() -> None:
    """Pages follow one another by absolute links, and nothing is lost or doubled."""
    with Lab.from_spec("hub-and-spoke:page_size=2") as lab:
        arm = ArmClient(lab)
        path = f"{arm.subscription}/providers/Microsoft.Compute/virtualMachines"
        first = arm.get(f"{path}?api-version=2024-11-01").json
        assert len(first["value"]) == 2
        assert first["nextLink"].startswith(f"{lab.arm_endpoint}/subscriptions/")
        assert "%24skiptoken=" in first["nextLink"]
        assert "api-version=2024-11-01" in first["nextLink"]
        names = [row["name"] for row in arm.list(path, "2024-11-01")]
        assert len(names) == len(set(names)) == 7


def test_the_last_full_page_has_no_next_link() -> None:
    """A listing that ends exactly with a page ends there."""
    with Lab.from_spec("hub-and-spoke:page_size=7") as lab:
        arm = ArmClient(lab)
        page = arm.get(
            f"{arm.subscription}/providers/Microsoft.Compute/virtualMachines?api-version=2024-11-01"
        )
        assert len(page.json["value"]) == 7
        assert "nextLink" not in page.json


def test_record_sets_page_at_a_hundred() -> None:
    """Record sets have a page size of their own, whatever that of other listings."""
    with Lab.from_spec("hub-and-spoke:page_size=2") as lab:
        arm = ArmClient(lab)
        zone = f"{arm.group}/providers/Microsoft.Network/privateDnsZones/privatelink.monitor.azure.com"
        page = arm.get(f"{zone}/ALL?api-version=2024-06-01").json
        assert "nextLink" not in page
        assert {row["type"].rpartition("/")[2] for row in page["value"]} == {"A", "SOA"}


def test_generic_listing(arm: ArmClient) -> None:
    """The generic listing takes a type filter and sends no properties."""
    condition = "resourceType eq 'Microsoft.Insights/dataCollectionRules'"
    page = arm.get(f"{arm.subscription}/resources?api-version=2022-09-01&$filter={condition}").json
    assert {row["name"] for row in page["value"]} == {"dcr-linux", "dcr-windows"}
    assert all("properties" not in row for row in page["value"])


def test_flexible_instances_by_filter(arm: ArmClient) -> None:
    """The VMs of a Flexible scale set are listed by its id."""
    scale_set = f"{arm.group}/providers/Microsoft.Compute/virtualMachineScaleSets/flex"
    path = f"{arm.group}/providers/Microsoft.Compute/virtualMachines"
    page = arm.get(f"{path}?api-version=2024-11-01&$filter='virtualMachineScaleSet/id' eq '{scale_set}'").json
    assert {row["name"] for row in page["value"]} == {"flex_3f1a2b0c", "flex_8d9e0f1a"}


def test_uniform_instances(arm: ArmClient) -> None:
    """The instances of a Uniform scale set are its children, with their extensions inside."""
    path = f"{arm.group}/providers/Microsoft.Compute/virtualMachineScaleSets/uniform/virtualMachines"
    rows = arm.list(path, "2024-11-01")
    assert [row["instanceId"] for row in rows] == ["0", "1"]
    assert rows[0]["resources"][0]["properties"]["type"] == "AzureMonitorLinuxAgent"


@pytest.mark.parametrize("child", ["subnets", "virtualNetworkPeerings"])
def test_inline_children(arm: ArmClient, child: str) -> None:
    """What a VNet carries inside can be listed and read as its children, too."""
    path = f"{arm.group}/providers/Microsoft.Network/virtualNetworks/hub/{child}"
    rows = arm.list(path, "2024-05-01")
    alone = arm.get(f"{path}/{rows[0]['name']}?api-version=2024-05-01")
    assert alone.json == rows[0]
    assert arm.get(f"{path}/none?api-version=2024-05-01").code == "ResourceNotFound"


def test_headers(arm: ArmClient) -> None:
    """Answers carry request ids and what is left of the rate limit; rules announce their versions."""
    answered = arm.get(
        f"{arm.subscription}/providers/Microsoft.Insights/dataCollectionRules?api-version=2023-03-11"
    )
    assert answered.headers["x-ms-request-id"] == answered.headers["x-ms-correlation-request-id"]
    assert answered.headers["x-ms-ratelimit-remaining-subscription-reads"] == "249"
    assert "2023-03-11" in answered.headers["api-supported-versions"]


def test_rate_limit() -> None:
    """With throttle=on a subscription has 250 reads in its bucket, and then 429 with Retry-After."""
    with Lab.from_spec("empty:throttle=on") as lab:
        assert lab.rate_limit == (250, 25.0)
        arm = ArmClient(lab)
        path = f"{arm.subscription}?api-version=2022-12-01"
        answers = [arm.get(path)]
        while answers[-1].status == 200 and len(answers) < 2000:
            answers.append(arm.get(path))
        assert len(answers) > 250
        assert (answers[-1].status, answers[-1].code) == (429, "SubscriptionRequestsThrottled")
        assert answers[-1].headers["retry-after"] == "1"
        remaining = [
            int(answer.headers["x-ms-ratelimit-remaining-subscription-reads"]) for answer in answers[:-1]
        ]
        assert remaining[0] == 249
        assert min(remaining) >= 0
        assert remaining[-1] == 0


def test_log(arm: ArmClient) -> None:
    """The lab remembers what was asked, and tells ARM's requests from the sign-in's."""
    before = len(arm.lab.requests)
    arm.get(f"{arm.subscription}?api-version=2022-12-01")
    asked = arm.lab.requests[before]
    assert (asked.method, asked.path, asked.api_version, asked.status) == (
        "GET",
        arm.subscription,
        "2022-12-01",
        200,
    )
    assert any(entry.path.endswith("/token") for entry in arm.lab.log)
    assert not any(entry.path.endswith("/token") for entry in arm.lab.requests)
