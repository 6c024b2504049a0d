"""The rules about guests, each on a state that holds and on states that do not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_ampls.assertions import (
    assert_agent_log_clean,
    assert_agent_reads_dcrs,
    assert_agent_running,
    assert_configuration_downloaded,
    assert_guest_disk,
    assert_guest_reaches_endpoints,
    assert_guest_resolution,
    assert_no_hosts_override,
    assert_token_acquired,
)
from pytest_ampls.assertions.agent_log import KNOWN_ERRORS, known_error
from pytest_ampls.catalogue import NotApplicable, Rule
from pytest_ampls.effective.guest_names import agent_names, guest_questions, right_addresses
from pytest_ampls.errors import AccessDeniedError, DocumentError, NotReadError, UnreachableError
from pytest_ampls.model import Estate, Gap, GapKind, Machine
from pytest_ampls.model.guest_state import Chunk, Disk, GuestState, LogError, TokenAttempt
from pytest_ampls.model.handshake import Handshake
from tests.assertions.machines import findings, machine, monitored_estate, observed, why_not_applicable
from tests.guest.lab import looked_at

ALL: list[Rule[[Machine]]] = [
    assert_no_hosts_override,
    assert_agent_running,
    assert_token_acquired,
    assert_guest_resolution,
    assert_guest_reaches_endpoints,
    assert_agent_log_clean,
    assert_configuration_downloaded,
    assert_agent_reads_dcrs,
    assert_guest_disk,
]
IDS = [rule.id for rule in ALL]


def spoke(name: str = "spoke1", **changes: Any) -> Machine:
    """Return a machine of the lab whose guest told something else than it did."""
    snapshot = looked_at("hub-and-spoke").snapshot
    guests = tuple(
        msgspec.structs.replace(state, **changes) if state.machine.endswith(f"/{name}") else state
        for state in snapshot.guests
    )
    return machine(Estate(msgspec.structs.replace(snapshot, guests=guests)), name)


def told(name: str = "spoke1") -> GuestState:
    """Return what the healthy guest told."""
    return next(
        each for each in looked_at("hub-and-spoke").snapshot.guests if each.machine.endswith(f"/{name}")
    )


def one_changed(parts: tuple[Any, ...] | None, at: int, **changes: Any) -> tuple[Any, ...]:
    """Return parts with one of them changed."""
    assert parts is not None
    return tuple(
        msgspec.structs.replace(part, **changes) if n == at else part for n, part in enumerate(parts)
    )


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_no_access_is_no_verdict(rule: Rule[[Machine]]) -> None:
    """Where no guest was to be looked at, the rules do not apply, and name the options."""
    reason = why_not_applicable(rule, machine(monitored_estate().build()))
    assert "--ampls-guests or --ampls-run-command" in reason
    assert "an Arc machine needs --ampls-guests" in why_not_applicable(
        rule, machine(monitored_estate().build(), "arc")
    )
    assert "as a whole has no guest" in why_not_applicable(
        rule, machine(monitored_estate().build(), "uniform")
    )


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_a_guest_that_told_nothing_is_unverified(rule: Rule[[Machine]]) -> None:
    """A guest that refused is an error, and the error is the gap's."""
    gap = Gap(kind=GapKind.DENIED, message="ssh to vm: the machine refused the login")
    with pytest.raises(AccessDeniedError, match="refused the login"):
        rule(spoke(gap=gap))


PARTS = {
    "AMPLS313": "lookups",
    "AMPLS520": "services",
    "AMPLS521": "tokens",
    "AMPLS522": "lookups",
    "AMPLS523": "handshakes",
    "AMPLS524": "log",
    "AMPLS525": "chunks",
    "AMPLS526": "mode",
    "AMPLS527": "disks",
}


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_a_part_that_is_missing_is_unverified(rule: Rule[[Machine]]) -> None:
    """A rule whose part did not arrive says which part, and why."""
    part = PARTS[rule.id]
    changes: dict[str, Any] = {part: None, "problems": {part: "the output was cut before it"}}
    with pytest.raises(NotReadError, match=f"did not tell its {part}.*the output was cut"):
        rule(spoke(**changes))


def test_services_that_do_not_run() -> None:
    """Each service that is not active is a finding; none at all proves nothing."""
    services = {
        "azuremonitoragent": "failed",
        "azuremonitor-coreagent": "missing",
        "azuremonitor-agentlauncher": "active",
    }
    found = findings(assert_agent_running, spoke(services=services))
    assert [(part.property, part.observed) for part in found] == [
        ("service azuremonitoragent", "failed"),
        ("service azuremonitor-coreagent", "missing"),
    ]
    assert found[0].evidence == "systemctl status azuremonitoragent  # on spoke1"
    with pytest.raises(NotReadError, match="told of no service"):
        assert_agent_running(spoke(services={}))


@pytest.mark.parametrize(
    ("status", "said", "meaning"),
    [
        (400, "Identity not found", "the machine does not have the identity"),
        (401, "Multiple user assigned identities exist, please specify", "several identities are attached"),
        (400, "Required metadata header not specified", "a proxy is in between"),
        (None, "Connection refused", "no answer of the instance metadata service (Connection refused)"),
        (403, "", "HTTP 403: without a reason"),
    ],
)
def test_refusals_of_a_token_are_told_apart(status: int | None, said: str, meaning: str) -> None:
    """Each refusal says what it means."""
    tokens = one_changed(told().tokens, 0, status=status, description=said)
    assert meaning in observed(assert_token_acquired, spoke(tokens=tokens))


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_a_service_that_asks_to_come_back_decides_nothing(status: int) -> None:
    """Updating, throttled, or failing: neither held nor broken."""
    tokens = one_changed(told().tokens, 0, status=status)
    with pytest.raises(UnreachableError, match=f"HTTP {status}.*Run again later"):
        assert_token_acquired(spoke(tokens=tokens))


def test_a_token_that_was_not_tried() -> None:
    """An identity that the settings name today and the guest was not asked for is unverified."""
    with pytest.raises(NotReadError, match="was not asked for a token for 'mi_res_id#"):
        assert_token_acquired(spoke(tokens=(TokenAttempt(identity="", status=200),)))


@pytest.mark.parametrize(
    ("addresses", "in_hosts", "said"),
    [
        ((), (), "no address: the name does not exist there, or has none; it asks 192.168.0.4"),
        (("203.0.113.9",), (), "203.0.113.9 (public); it asks 192.168.0.4"),
        (
            ("10.1.1.1",),
            ("10.1.1.1",),
            "10.1.1.1 (private, but not the private endpoint's, from its hosts file)",
        ),
        (("192.168.0.78", "203.0.113.9"), (), "192.168.0.78 (the private endpoint's), 203.0.113.9 (public)"),
    ],
)
def test_wrong_answers_on_the_machine(
    addresses: tuple[str, ...], in_hosts: tuple[str, ...], said: str
) -> None:
    """Every wrong answer says what it is; connections to it are not judged."""
    lookups = one_changed(told().lookups, 0, addresses=addresses, in_hosts_file=in_hosts)
    assert said in observed(assert_guest_resolution, spoke(lookups=lookups))
    assert not findings(assert_guest_reaches_endpoints, spoke(lookups=lookups))


def test_a_name_that_the_machine_could_not_ask_for() -> None:
    """A timeout, or a name that was not asked, is unverified; what is wrong besides is still found."""
    lookups = one_changed(told().lookups, 0, problem="no answer within 10 s", addresses=())
    with pytest.raises(UnreachableError, match="no answer within 10 s"):
        assert_guest_resolution(spoke(lookups=lookups))
    with pytest.raises(NotReadError, match="was not asked for"):
        assert_guest_resolution(spoke(lookups=(told().lookups or ())[1:]))
    both = one_changed(lookups, 1, addresses=("203.0.113.9",))
    with pytest.raises(AssertionError, match="unverified besides"):
        assert_guest_resolution(spoke(lookups=both))


def test_hosts_lines() -> None:
    """A line is a finding even where its address is right."""
    lookups = one_changed(told().lookups, 0, in_hosts_file=("192.168.0.78",))
    (found,) = findings(assert_no_hosts_override, spoke(lookups=lookups))
    assert found.property == "/etc/hosts"
    assert "192.168.0.78 for global.handler.control" in found.observed
    (windows,) = findings(
        assert_no_hosts_override,
        spoke("spoke2", lookups=one_changed(told("spoke2").lookups, 0, in_hosts_file=("10.0.0.1",))),
    )
    assert windows.property.endswith(r"drivers\etc\hosts")


def test_the_handler_of_a_scope_without_the_endpoint_is_wrong() -> None:
    """Another scope in the same VNet serves the shared name too, and refuses who has its endpoint elsewhere."""
    subject = machine(looked_at("hub-and-spoke+second-scope-beside"), "spoke1")
    (found,) = findings(assert_guest_resolution, subject)
    assert found.property == "global.handler.control.monitor.azure.com resolved on the machine"
    assert found.expected == "192.168.0.78, of the private endpoint"
    assert found.observed.startswith("192.168.0.110 (private, but not the private endpoint's)")


def test_the_handler_of_a_scope_with_the_endpoint_is_right() -> None:
    """Two scopes in one VNet that both have the machine's endpoint serve it equally."""
    snapshot = looked_at("hub-and-spoke+second-scope-in-vnet").snapshot
    handler = "global.handler.control.monitor.azure.com"
    before = machine(Estate(snapshot), "spoke1")
    assert right_addresses(before, handler) == {"192.168.0.78", "192.168.0.110"}
    other = tuple(
        msgspec.structs.replace(lookup, addresses=("192.168.0.110",)) if lookup.name == handler else lookup
        for lookup in told().lookups or ()
    )
    guests = tuple(
        msgspec.structs.replace(state, lookups=other) if state.machine.endswith("/spoke1") else state
        for state in snapshot.guests
    )
    subject = machine(Estate(msgspec.structs.replace(snapshot, guests=guests)), "spoke1")
    assert not findings(assert_guest_resolution, subject)


def test_where_no_scope_has_the_endpoint_none_is_right() -> None:
    """Which scope's handler would do cannot be told, and the other names are judged before that is said."""
    estate = looked_at("hub-and-spoke+second-scope-beside+dce-not-in-scope")
    with pytest.raises(NotReadError, match="none of them has dce-westeurope: which of them is right"):
        assert_guest_resolution(machine(estate, "spoke1"))
    public = tuple(
        msgspec.structs.replace(lookup, addresses=("20.0.0.1",)) for lookup in told().lookups or ()
    )
    guests = tuple(msgspec.structs.replace(state, lookups=public) for state in estate.snapshot.guests)
    changed = Estate(msgspec.structs.replace(estate.snapshot, guests=guests))
    with pytest.raises(AssertionError, match=r"(?s)20\.0\.0\.1 \(public\).*unverified besides"):
        assert_guest_resolution(machine(changed, "spoke1"))


def test_no_right_name_proves_no_connection() -> None:
    """Where every name leads elsewhere, nothing of the private endpoint was tried, and the rule does not hold."""
    lookups = told().lookups or ()
    public = tuple(msgspec.structs.replace(lookup, addresses=("20.0.0.1",)) for lookup in lookups)
    with pytest.raises(NotApplicable, match="AMPLS522 judges that"):
        list(assert_guest_reaches_endpoints.check(spoke(lookups=public)))


def test_connections() -> None:
    """No connection, no TLS, a certificate that is not trusted, and an unhealthy handler are findings."""
    shakes: tuple[Handshake, ...] = told().handshakes or ()
    refused = Gap(
        kind=GapKind.UNREACHABLE, message="x at 192.168.0.78: no connection to port 443: Connection refused"
    )
    assert "Connection refused" in observed(
        assert_guest_reaches_endpoints, spoke(handshakes=one_changed(shakes, 0, gap=refused, trusted=False))
    )
    resigned = one_changed(shakes, 0, trusted=False, distrust="19 (self-signed certificate)")
    assert "19 (self-signed certificate)" in observed(
        assert_guest_reaches_endpoints, spoke(handshakes=resigned)
    )
    name = shakes[0].name
    assert (
        observed(assert_guest_reaches_endpoints, spoke(health={name: "Forbidden (HTTP 403)"}))
        == "Forbidden (HTTP 403)"
    )
    with pytest.raises(NotReadError, match="did not ask"):
        assert_guest_reaches_endpoints(spoke(health={}))
    with pytest.raises(NotReadError, match="did not connect"):
        assert_guest_reaches_endpoints(spoke(handshakes=shakes[1:]))


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("403 Data collection endpoint must be used to access configuration over private link", "AMPLS402"),
        ("ErrorCode:-2146172665", "AMPLS402"),
        ("Failed to upload to ODS: 403, Datatype: X", "AMPLS522"),
        ("Failed to upload to ODS: Error resolving address, Datatype: X", "AMPLS302"),
        (
            "Failed to get MSI token from IMDS endpoint: http://169.254.169.254 ErrorCode:-2146041343",
            "AMPLS521",
        ),
        ('MSIToken Status code=400, error_description="Identity not found"', "AMPLS502"),
        ("Multiple user assigned identities exist, please specify", "AMPLS503"),
        ("Error in SSL handshake", "AMPLS523"),
    ],
)
def test_known_errors_are_explained(line: str, rules: str) -> None:
    """Each known error says what is behind it, and which rules look at that."""
    assert rules in observed(
        assert_agent_log_clean, spoke(log=(LogError(line=line, seconds=told().started or 0),))
    )


def test_errors_before_the_start_and_unknown_ones_do_not_count() -> None:
    """What was mended by a restart is past, and what is not known is not judged."""
    started = told().started
    assert started is not None
    old = LogError(line="Failed to upload to ODS: 403", seconds=started - 1)
    strange = LogError(line="Unrecognized late event token: 1", seconds=started + 1)
    assert not findings(assert_agent_log_clean, spoke(log=(old, strange)))
    assert findings(assert_agent_log_clean, spoke(log=(old, msgspec.structs.replace(old, seconds=0.0))))
    with pytest.raises(NotReadError, match="did not tell its started"):
        assert_agent_log_clean(spoke(log=(old,), started=None))
    assert not findings(assert_agent_log_clean, spoke(log=(strange,), started=None))
    assert known_error("anything") is None
    assert len({each.pattern for each in KNOWN_ERRORS}) == len(KNOWN_ERRORS)


def test_hostile_log_lines_are_spelt_out() -> None:
    """A line of a log cannot write to the terminal that shows the failure."""
    line = "Failed to upload to ODS: 403 \x1b[2J\x1b]0;x\x07\n  fix  az login"
    with pytest.raises(AssertionError) as caught:
        assert_agent_log_clean(spoke(log=(LogError(line=line),)))
    assert "\x1b" not in str(caught.value)
    assert "\n  fix  az login" not in str(caught.value)


def test_chunks() -> None:
    """A chunk for every rule that collects; a chunk that names no rule leaves it open."""
    assert observed(assert_configuration_downloaded, spoke(chunks=())) == "no chunk at all"
    other = Chunk(file="x.json", rule="dcr-other", protocols=("ods",))
    assert observed(assert_configuration_downloaded, spoke(chunks=(other,))) == "none (1 of other rules)"
    settings = Chunk(file="settings.json")
    assert findings(assert_configuration_downloaded, spoke(chunks=(settings,)))
    with pytest.raises(DocumentError, match=r"x\.json, which does not say whose it is"):
        assert_configuration_downloaded(spoke(chunks=(msgspec.structs.replace(other, rule=""),)))


def test_mode_and_windows() -> None:
    """The legacy mode is a finding on Linux, and unknown to Windows, as is the log."""
    assert "the legacy mode (gcs)" in observed(assert_agent_reads_dcrs, spoke(mode="gcs"))
    for rule in (assert_agent_reads_dcrs, assert_agent_log_clean):
        with pytest.raises(NotApplicable, match="is a Windows machine"):
            findings(rule, spoke("spoke2"))


def test_disks() -> None:
    """Less than the minimum is a finding; the minimum is the caller's."""
    disks = (Disk(folder="/var/opt/x", free=400_000_000), Disk(folder="/opt/x", free=600_000_000))
    assert observed(assert_guest_disk, spoke(disks=disks)) == "400 MB free"
    assert not findings(assert_guest_disk, spoke(disks=disks), minimum_mb=400)
    assert len(findings(assert_guest_disk, spoke(disks=disks), minimum_mb=700)) == 2
    with pytest.raises(NotReadError, match="told of no folder"):
        assert_guest_disk(spoke(disks=()))


def test_what_a_guest_is_asked() -> None:
    """The global handler first, then the machine's endpoints and workspaces, and the identity of the settings."""
    subject = spoke()
    names = agent_names(subject)
    assert names[0] == "global.handler.control.monitor.azure.com"
    assert any(".ingest.monitor.azure.com" in name for name in names)
    assert names[-1].endswith(".ods.opinsights.azure.com")
    assert all(right_addresses(subject, name) for name in names)
    assert guest_questions(subject).names == names
    (identity,) = guest_questions(subject).identities
    assert identity.startswith("mi_res_id#/subscriptions/")
    assert guest_questions(machine(subject.estate, "onprem1")).identities == ()


def test_what_cannot_be_told_is_left_out_of_the_questions() -> None:
    """A configuration that was not read costs its own names, and nothing else."""
    plan = monitored_estate()
    plan.gaps["Microsoft.OperationalInsights/workspaces"] = Gap(kind=GapKind.DENIED, message="denied")
    subject = machine(plan.build())
    with pytest.raises(AccessDeniedError):
        agent_names(subject)
    assert guest_questions(subject).names[0] == "global.handler.control.monitor.azure.com"
