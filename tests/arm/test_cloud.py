"""Clouds and credentials: where they are, and how they are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.identity import AzureAuthorityHosts

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import CLOUDS, Cloud, discover
from pytest_ampls.arm.credential import default_credential, lab_credential
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import GapKind
from tests.arm.names import SCOPES, SCOPES_PATH, SUBSCRIPTION
from tests.arm.server import Authority, Reply, Server

PATH = "/metadata/endpoints"


def described(server: Server, **changes: Any) -> dict[str, Any]:
    """Return the description of a cloud whose Resource Manager is the server."""
    return {
        "name": "Lab",
        "resourceManager": f"{server.url}/",
        "authentication": {"loginEndpoint": f"{server.url}/", "audiences": [f"{server.url}/", "other"]},
        "suffixes": {},
        **changes,
    }


def test_the_known_clouds_agree_with_azure_identity() -> None:
    """Our authorities are those of azure-identity, our endpoints those of azure-mgmt-core."""
    hosts = {
        "AzureCloud": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
        "AzureUSGovernment": AzureAuthorityHosts.AZURE_GOVERNMENT,
        "AzureChinaCloud": AzureAuthorityHosts.AZURE_CHINA,
    }
    assert {name: cloud.authority for name, cloud in CLOUDS.items()} == {
        name: f"https://{host}" for name, host in hosts.items()
    }
    assert CLOUDS["AzureCloud"].arm_endpoint == "https://management.azure.com"
    assert CLOUDS["AzureUSGovernment"].token_scope == "https://management.core.usgovcloudapi.net/.default"


@pytest.mark.parametrize("url", ["https://management.azure.com", "https://MANAGEMENT.azure.com:443/"])
def test_a_known_endpoint_is_not_asked(url: str) -> None:
    """The public cloud is recognised by its endpoint, without a request."""
    assert discover(url) == CLOUDS["AzureCloud"]


def test_discovers_a_custom_endpoint(server: Server) -> None:
    """Authority and audience come from the endpoint itself, unauthenticated."""
    other = {
        "authentication": {"loginEndpoint": "https://x", "audiences": ["y"]},
        "resourceManager": "https://z",
    }
    server.on(PATH, Reply([other, described(server)]))
    cloud = discover(f"{server.url}/", server.authority.bundle)
    assert cloud == Cloud(name="Lab", arm_endpoint=server.url, authority=server.url, audience=server.url)
    (asked,) = server.asked
    assert asked.query == {"api-version": "2022-09-01"}
    assert "Authorization" not in asked.headers


def test_the_log_analytics_endpoint_is_the_clouds_own(server: Server) -> None:
    """Where logs are queried is told by the cloud as well, where it has that; a cloud without says nothing or null."""
    for told, found in (("https://logs.example/", "https://logs.example"), (None, "")):
        server.on(PATH, Reply(described(server, logAnalyticsResourceId=told)))
        assert discover(server.url, server.authority.bundle).logs_endpoint == found


def test_one_object_is_understood_too(server: Server) -> None:
    """Azure Stack answers with one object and without its own endpoint in it."""
    body = described(server)
    del body["resourceManager"], body["name"]
    server.on(PATH, Reply(body))
    assert discover(server.url, server.authority.bundle).name == "127.0.0.1"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html>"), "does not describe a cloud"),
        (Reply({"a": 1}), "does not describe a cloud"),
        (Reply([]), "describes 0 clouds"),
        (Reply(status=404), "answered HTTP 404"),
        (Reply(status=302, headers={"Location": "https://127.0.0.2/"}), "answered HTTP 302"),
        (Reply(reset=True), "does not answer"),
        (Reply({"authentication": {"loginEndpoint": "http://l", "audiences": ["a"]}}), "an https URL"),
        (Reply({"authentication": {"loginEndpoint": "https://l", "audiences": []}}), "0 audiences"),
    ],
)
def test_endpoints_that_are_none(server: Server, reply: Reply, said: str) -> None:
    """Each way not to be a Resource Manager is a configuration error with a reason."""
    server.on(PATH, reply)
    with pytest.raises(ConfigurationError, match=said):
        discover(server.url, server.authority.bundle)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "not an https URL"),
        ("127.0.0.1:1", "not an https URL"),
        ("https://user@127.0.0.1:1", "not an https URL"),
        ("https://127.0.0.1:1/subscriptions", "has a path"),
        ("https://127.0.0.1:9", "does not answer"),
    ],
)
def test_urls_that_cannot_be(url: str, said: str) -> None:
    """What is not plain https to a host is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match=said):
        discover(url)


def test_an_untrusted_endpoint_names_the_ca_bundle(server: Server, tmp_path: Path) -> None:
    """A certificate of another authority is told apart from silence."""
    with pytest.raises(ConfigurationError, match=r"not trusted.*CA bundle"):
        discover(server.url, Authority(tmp_path).bundle)


# ---------------------------------------------------------------- credentials


def sign_in(server: Server, tenant: str, reply: Reply) -> None:
    """Let the server be an authority that answers token requests like this."""
    base = f"{server.url}/{tenant}"
    server.on(
        f"/{tenant}/v2.0/.well-known/openid-configuration",
        Reply(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
        ),
    )
    server.on(f"/{tenant}/oauth2/v2.0/token", reply)


def test_the_labs_credential_gets_its_token_from_the_lab(
    make_client: Callable[..., ArmClient], server: Server
) -> None:
    """A client secret is exchanged at the authority that was named, and at no other."""
    token = {"token_type": "Bearer", "expires_in": 3600, "access_token": "from-the-lab"}
    sign_in(server, "tenant-1", Reply(token))
    server.on(SCOPES_PATH, Reply({"value": []}))
    credential = lab_credential(server.url, "tenant-1", "client", "hidden", server.authority.bundle)
    assert make_client(credential=credential).list(SCOPES, SUBSCRIPTION).gap is None
    assert server.asked[-1].headers["Authorization"] == "Bearer from-the-lab"
    assert {asked.path.split("/")[1] for asked in server.asked} == {"tenant-1", "subscriptions"}


def test_a_wrong_secret_is_unauthenticated(make_client: Callable[..., ArmClient], server: Server) -> None:
    """The authority's own words reach the gap; the secret does not."""
    body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
    sign_in(server, "tenant-1", Reply(body, status=401))
    credential = lab_credential(server.url, "tenant-1", "client", "hidden", server.authority.bundle)
    gap = make_client(credential=credential).list(SCOPES, SUBSCRIPTION).gap
    assert gap is not None
    assert gap.kind is GapKind.UNAUTHENTICATED
    assert "AADSTS7000215" in gap.message
    assert "hidden" not in gap.message


def test_an_authority_that_is_away_is_unreachable_or_unauthenticated(
    make_client: Callable[..., ArmClient], server: Server
) -> None:
    """No token endpoint: a gap, and nothing was sent to Resource Manager."""
    credential = lab_credential(server.url, "tenant-1", "client", "hidden", server.authority.bundle)
    gap = make_client(credential=credential).list(SCOPES, SUBSCRIPTION).gap
    assert gap is not None
    assert gap.kind in (GapKind.UNREACHABLE, GapKind.UNAUTHENTICATED)
    assert not [path for path in server.paths() if path.startswith("/subscriptions")]


@pytest.mark.parametrize(
    ("tenant", "authority"), [("not a tenant", "https://127.0.0.1:9"), ("t", "http://h")]
)
def test_malformed_credentials_are_configuration_errors(tenant: str, authority: str) -> None:
    """azure-identity's ValueError does not reach the user bare."""
    with pytest.raises(ConfigurationError, match="cannot be set up"):
        lab_credential(authority, tenant, "c", "s", "ca.pem")


def test_the_default_chain_has_no_browser_and_asks_for_the_tenant() -> None:
    """Nobody is asked anything interactively; making the credential sends nothing."""
    cloud = Cloud(name="x", arm_endpoint="https://a", authority="https://127.0.0.1:9", audience="https://a")
    chain: Any = default_credential(cloud)
    names = {type(member).__name__ for member in chain.credentials}
    assert "AzureCliCredential" in names
    assert not [name for name in names if "Browser" in name]
    wrapped: Any = default_credential(cloud, tenant_id="tenant-2")
    assert wrapped._tenant_id == "tenant-2"
