"""What mends a finding on a guest: each cause has its own advice, and no command shows a token."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_ampls.assertions import (
    assert_agent_log_clean,
    assert_agent_running,
    assert_guest_reaches_endpoints,
    assert_token_acquired,
)
from pytest_ampls.assertions.token_refusal import identity_tokens, token_requests
from pytest_ampls.catalogue import ConformanceError, Rule
from pytest_ampls.model import Gap, GapKind, Machine
from pytest_ampls.model.guest_state import LogError
from tests.assertions.machines import findings
from tests.guest.test_rules import one_changed, spoke, told

IDENTITY = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-ama"


def advice(rule: Rule[[Machine]], machine: Machine) -> str:
    """Return the part of the failure message that says what mends it."""
    with pytest.raises(ConformanceError) as caught:
        rule(machine)
    return str(caught.value).partition("\n  fix ")[2]


@pytest.mark.parametrize(
    ("status", "said", "right", "wrong"),
    [
        (400, "Identity not found", "az vm identity assign --ids", "169.254"),
        (400, "Multiple user assigned identities exist, please specify", "identifier-name", "restart"),
        (400, "Required metadata header not specified", "NO_PROXY=169.254.169.254", "identity assign"),
        (None, "Connection timed out", "AzurePlatformIMDS", "identity assign"),
    ],
)
def test_each_refusal_of_a_token_is_mended_its_own_way(
    status: int | None, said: str, right: str, wrong: str
) -> None:
    """An identity to attach, one to name, or a way to the metadata service: nobody is sent to the wrong one."""
    text = advice(
        assert_token_acquired, spoke(tokens=one_changed(told().tokens, 0, status=status, description=said))
    )
    assert right in text
    assert wrong not in text


def test_a_client_id_is_no_identity_to_assign() -> None:
    """``az`` attaches identities by resource id: what the settings name by client id stays a placeholder."""
    tokens = one_changed(told().tokens, 0, status=400, description="Identity not found")
    assert f"{IDENTITY}  # then" in advice(assert_token_acquired, spoke(tokens=tokens))
    assert "identity" not in identity_tokens("client_id#0f5b2c1e-0000-0000-0000-000000000000", windows=False)
    assert identity_tokens("mi_res_id#/a/b", windows=False)["identity"] == "/a/b"


@pytest.mark.parametrize(("system", "shows"), [("Linux", "| grep -o"), ("Windows", ").StatusCode")])
def test_the_evidence_of_a_token_shows_none(system: str, shows: str) -> None:
    """The command that shows a refusal prints no token, not a part of one, should it be given meanwhile."""
    tokens = one_changed(told().tokens, 0, status=400, description="Identity not found")
    (found,) = findings(assert_token_acquired, spoke(tokens=tokens, system=system))
    assert shows in found.evidence
    assert "cut -c" not in found.evidence
    assert "Invoke-RestMethod" not in found.evidence


def test_a_certificate_is_not_mended_by_a_security_group() -> None:
    """A chain that is signed anew needs an exception from inspection, a closed port a rule that opens it."""
    shakes = told().handshakes
    resigned = advice(
        assert_guest_reaches_endpoints, spoke(handshakes=_all(shakes, trusted=False, distrust="self-signed"))
    )
    assert "terminate_tls = false" in resigned
    assert "network_security_rule" not in resigned
    gap = Gap(kind=GapKind.UNREACHABLE, message="no connection to port 443")
    closed = advice(assert_guest_reaches_endpoints, spoke(handshakes=_all(shakes, trusted=False, gap=gap)))
    assert "azurerm_network_security_rule" in closed


def _all(parts: tuple[Any, ...] | None, **changes: Any) -> tuple[Any, ...]:
    return tuple(msgspec.structs.replace(part, **changes) for part in parts or ())


def test_a_log_says_when() -> None:
    """The time of a known error stands in its finding, and a restart is advised only behind its cause."""
    line = "Failed to upload to ODS: 403, Datatype: X"
    at = told().started
    assert at is not None
    (found,) = findings(assert_agent_log_clean, spoke(log=(LogError(line=line, seconds=at + 60),)))
    assert "last at 20" in found.observed
    (found,) = findings(assert_agent_log_clean, spoke(log=(LogError(line=line),)))
    assert "last at" not in found.observed
    assert "once the rules that it names hold" in advice(
        assert_agent_log_clean, spoke(log=(LogError(line=line),))
    )


@pytest.mark.parametrize(("ahead", "said"), [(7200.0, "2 h ahead"), (-86400.0 * 3, "3 d behind")])
def test_a_wrong_clock_is_told(ahead: float, said: str) -> None:
    """A machine whose clock is wrong trusts no certificate: what is found there says so."""
    machine = spoke(
        clock=told().read_at + ahead,
        handshakes=_all(told().handshakes, trusted=False, distrust="9 (certificate is not yet valid)"),
    )
    for found in findings(assert_guest_reaches_endpoints, machine):
        assert f"the machine's clock is {said}" in found.observed


@pytest.mark.parametrize("clock", [None, 200.0, -200.0])
def test_a_right_clock_is_not_told(clock: float | None) -> None:
    """A difference that the way of the answer explains, or a clock that was not told, is no remark."""
    at = told().read_at
    machine = spoke(clock=None if clock is None else at + clock, services={"azuremonitoragent": "inactive"})
    (found,) = findings(assert_agent_running, machine)
    assert found.observed == "inactive"


@pytest.mark.parametrize("windows", [False, True])
def test_an_identity_of_a_document_ends_no_quotes(windows: bool) -> None:
    """What somebody wrote into an extension's settings is no command of whoever copies the evidence."""
    command = token_requests("mi_res_id#/a/b'; touch owned; '")[windows]
    assert "owned; '" not in command
    assert "mi_res_id=/a/b%27%3B%20touch%20owned%3B%20%27'" in command
