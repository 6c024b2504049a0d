"""No token, or an old one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.model.evidence import GapKind
from tests.arm.conftest import TOKEN, FakeClock, StaticCredential
from tests.arm.gaps import gap_of
from tests.arm.names import RULES, SCOPES, SCOPES_PATH, SUBSCRIPTION
from tests.arm.server import Reply, Server


class Refusing:
    """A credential that always fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Fail."""
        self.asked += 1
        raise self.error


CHAIN = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: EnvironmentCredential authentication unavailable.
\tManagedIdentityCredential: no response from the IMDS endpoint.
\tAzureCliCredential: Azure CLI not found on path
To mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/x."""
AADSTS = "Authentication failed: AADSTS7000215: Invalid client secret provided for app 'x'.\r\nTrace ID: 1"


@pytest.mark.parametrize(
    ("failure", "kind", "said"),
    [
        (
            ClientAuthenticationError(CHAIN),
            GapKind.UNAUTHENTICATED,
            "tried EnvironmentCredential, ManagedIdentityCredential, AzureCliCredential; none of them",
        ),
        (ClientAuthenticationError(AADSTS), GapKind.UNAUTHENTICATED, "AADSTS7000215: Invalid client secret"),
        (ValueError("authority is odd"), GapKind.UNAUTHENTICATED, "authority is odd"),
        (ServiceRequestError("refused"), GapKind.UNREACHABLE, "its authority does not answer: refused"),
    ],
)
def test_no_token_is_told_in_one_line_and_asked_for_once(
    make_client: Callable[..., ArmClient], server: Server, failure: Exception, kind: GapKind, said: str
) -> None:
    """Nothing is sent without a token, and the chain of credentials is not started for each call."""
    credential = Refusing(failure)
    client = make_client(credential=credential)
    gaps = [gap_of(client, kind) for kind in (RULES, SCOPES, RULES)]
    assert {gap.kind for gap in gaps} == {kind}
    assert all(said in gap.message and "\n" not in gap.message for gap in gaps)
    assert (credential.asked, server.asked, client.statistics().calls) == (1, [], 0)


def test_a_forgotten_failure_is_tried_again(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """A minute later the credential may have recovered."""
    credential = Refusing(ClientAuthenticationError("no"))
    client = make_client(credential=credential)
    gap_of(client)
    clock.now += 61
    gap_of(client)
    assert credential.asked == 2


def test_an_expired_token_is_replaced(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """A token is renewed before it ends, so that no request carries a dead one."""

    class Short(StaticCredential):
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            self.asked += 1
            return AccessToken(f"{TOKEN}-{self.asked}", int(clock.now) + 600)

    server.on(SCOPES_PATH, Reply({"value": []}))
    client = make_client(credential=Short())
    for step in (0, 200, 200):
        clock.now += step
        client.list(SCOPES, SUBSCRIPTION)
    assert [asked.headers["Authorization"][-1] for asked in server.asked] == ["1", "1", "2"]
