"""The lab's sign-in, and what ARM says to tokens that do not do."""

from __future__ import annotations

import pytest

from pytest_ampls.lab import Lab
from pytest_ampls.lab.messages import Request
from pytest_ampls.lab.tokens import Authority, TokenRefusedError
from tests.lab.arm_client import ArmClient

_ORIGIN = "https://127.0.0.1:1"


def test_discovery(arm: ArmClient) -> None:
    """OpenID discovery leads to the token endpoint on the same origin."""
    lab = arm.lab
    path = f"/{lab.tenant_id}/v2.0/.well-known/openid-configuration"
    document = arm.send("GET", path).json
    assert document["token_endpoint"] == f"{lab.authority}/{lab.tenant_id}/oauth2/v2.0/token"
    instance = arm.send("GET", "/common/discovery/instance?api-version=1.1").json
    assert instance["tenant_discovery_endpoint"].endswith("/openid-configuration")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_id": "somebody"}, 400, 700016),
        ({"grant_type": "password"}, 400, 70003),
        ({"scope": "https://management.azure.com/"}, 400, 1002012),
    ],
)
def test_token_refusals(arm: ArmClient, changes: dict[str, str], status: int, code: int) -> None:
    """What the sign-in refuses carries the platform's own error numbers."""
    answered = arm.sign_in(**changes)
    assert (answered.status, answered.json["error_codes"]) == (status, [code])
    assert "access_token" not in answered.json


def test_unknown_tenant(arm: ArmClient) -> None:
    """A tenant that is not the lab's does not exist."""
    answered = arm.send("GET", "/elsewhere/v2.0/.well-known/openid-configuration")
    assert answered.json["error"] == "invalid_tenant"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({}, "AuthenticationFailed"),
        ({"authorization": "Bearer nonsense"}, "InvalidAuthenticationToken"),
        ({"authorization": "Bearer a.b.ä"}, "InvalidAuthenticationToken"),
        ({"authorization": "Basic abc"}, "InvalidAuthenticationToken"),
    ],
)
def test_arm_needs_a_token(arm: ArmClient, header: dict[str, str], code: str) -> None:
    """Without a good token there is 401, and a challenge that says where to sign in."""
    encoded = {name: value.encode("utf-8").decode("latin-1") for name, value in header.items()}
    answered = arm.send("GET", f"{arm.subscription}?api-version=2022-12-01", headers=encoded)
    assert (answered.status, answered.code) == (401, code)
    assert f'authorization_uri="{arm.lab.authority}/' in answered.headers["www-authenticate"]


def _code(authority: Authority, token: str) -> bytes:
    request = Request("GET", "/subscriptions", {"authorization": f"Bearer {token}"})
    with pytest.raises(TokenRefusedError) as caught:
        authority.check(request, _ORIGIN)
    return caught.value.response.body


def test_expiry_audience_and_foreign_tokens() -> None:
    """Tokens that are expired, for another audience, or of another lab are refused."""
    authority = Authority()
    good = Request("GET", "/", {"authorization": f"Bearer {authority.issue(_ORIGIN, _ORIGIN)}"})
    authority.check(good, _ORIGIN)
    expired = Authority(lifetime=-1)
    assert b"ExpiredAuthenticationToken" in _code(expired, expired.issue(_ORIGIN, _ORIGIN))
    vault = authority.issue("https://vault.azure.net", _ORIGIN)
    assert b"InvalidAuthenticationTokenAudience" in _code(authority, vault)
    assert b"InvalidAuthenticationToken" in _code(authority, Authority().issue(_ORIGIN, _ORIGIN))


def test_the_secret_is_fresh_and_hidden() -> None:
    """Every lab has a secret of its own, and no repr shows it."""
    one, other = Lab.from_spec("empty"), Lab.from_spec("empty")
    assert one.client_secret != other.client_secret
    assert one.client_secret not in repr(one)


def test_cloud_metadata_shapes(arm: ArmClient) -> None:
    """Each api-version has its shape: four keys, an array of clouds, one cloud; none needs a token."""
    old = arm.send("GET", "/metadata/endpoints?api-version=2015-01-01").json
    (listed,) = arm.send("GET", "/metadata/endpoints?api-version=2019-05-01").json
    new = arm.send("GET", "/metadata/endpoints?api-version=2022-09-01").json
    assert old["authentication"]["loginEndpoint"] == f"{arm.lab.authority}/"
    assert listed == new
    assert new["resourceManager"] == f"{arm.lab.arm_endpoint}/"
    assert new["authentication"]["audiences"] == old["authentication"]["audiences"]
