"""The table of access: every row that the documentation states, and what holds of all combinations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final

import msgspec
import pytest

from pytest_ampls.effective.access import (
    Access,
    AccessMode,
    Outcome,
    Path,
    PublicAccess,
    Reach,
    configuration_access,
    effective_mode,
    query_access,
    telemetry_access,
    upload_access,
)
from pytest_ampls.errors import AccessDeniedError, DocumentError
from tests.builders import AMPLS, CONNECTIONS, denied
from tests.private_estate import NetworkBlueprint, ampls, endpoint, member_name, private_estate

P, N, NOWHERE = Path.PRIVATE, Path.PUBLIC, Path.NOWHERE
ON, OFF, PERIMETER = PublicAccess.ENABLED, PublicAccess.DISABLED, PublicAccess.SECURED_BY_PERIMETER
OPEN, PRIVATE_ONLY = AccessMode.OPEN, AccessMode.PRIVATE_ONLY
YES, NO, NAMELESS, UNKNOWN = Outcome.ALLOWED, Outcome.REFUSED, Outcome.UNRESOLVABLE, Outcome.UNKNOWN

Judge = Callable[[Reach], Access]


def _reaches(*paths: Path) -> list[Reach]:
    """Return every combination of facts for some paths, without those that contradict themselves."""
    return [
        Reach(path=path, public=public, is_member=member, is_in_any_scope=scoped, mode=mode)
        for path, public, member, scoped, mode in product(
            paths, PublicAccess, (True, False), (True, False), AccessMode
        )
        if scoped or not member
    ]


# ------------------------------------------------------------------- queries, and telemetry by the same table

BY_MODE: Final = [
    (P, True, PRIVATE_ONLY, ON, YES),
    (P, True, PRIVATE_ONLY, OFF, YES),
    (P, True, OPEN, ON, YES),
    (P, True, OPEN, OFF, YES),
    (P, True, PRIVATE_ONLY, PERIMETER, YES),  # a perimeter never touches private link traffic
    (P, False, PRIVATE_ONLY, ON, NO),
    (P, False, PRIVATE_ONLY, OFF, NO),
    (P, False, PRIVATE_ONLY, PERIMETER, NO),
    (P, False, OPEN, ON, YES),
    (P, False, OPEN, OFF, NO),
    (P, False, OPEN, PERIMETER, UNKNOWN),
    (N, True, None, ON, YES),
    (N, False, None, ON, YES),
    (N, True, None, OFF, NO),
    (N, False, None, OFF, NO),
    (N, True, None, PERIMETER, UNKNOWN),
    (NOWHERE, True, None, ON, NAMELESS),
]


@pytest.mark.parametrize("judge", [query_access, telemetry_access])
@pytest.mark.parametrize(("path", "is_member", "mode", "public", "expected"), BY_MODE)
def test_shared_names_obey_the_mode_on_the_private_path_and_the_flag_on_the_public_one(
    judge: Judge,
    path: Path,
    is_member: bool,
    mode: AccessMode | None,
    public: PublicAccess,
    expected: Outcome,
) -> None:
    """Each row of the table for queries holds, and the same rows for telemetry."""
    found = judge(Reach(path=path, is_member=is_member, mode=mode, public=public))
    assert found.outcome is expected
    assert not found.is_inferred


def test_a_refused_public_query_names_the_code_that_people_search_for() -> None:
    """The inner code tells the network's refusal from a missing role."""
    reason = query_access(Reach(path=N, public=OFF)).reason
    assert "403 InsufficientAccessError" in reason
    assert "NspValidationFailedError" in reason
    assert "everywhere" not in reason


@pytest.mark.parametrize("path", [P, N])
@pytest.mark.parametrize("mode", list(AccessMode))
def test_a_closed_resource_in_no_scope_is_refused_from_everywhere(path: Path, mode: AccessMode) -> None:
    """Public access off and no scope: no path leads there, and the reason says so."""
    found = query_access(Reach(path=path, public=OFF, is_in_any_scope=False, mode=mode))
    assert found.outcome is NO
    assert found.reason.endswith("refused from everywhere")


def test_the_mode_is_asked_only_where_it_decides() -> None:
    """A private client of a stranger needs the mode, which has no default; no other row does."""
    with pytest.raises(DocumentError, match="access mode is not known"):
        query_access(Reach(path=P, public=ON))
    assert query_access(Reach(path=P, public=ON, is_member=True)).outcome is YES


def test_the_flag_is_asked_only_where_it_decides() -> None:
    """A member is reached privately whatever its flag says; on the public path there is no default."""
    assert query_access(Reach(path=P, is_member=True)).outcome is YES
    assert query_access(Reach(path=P, mode=PRIVATE_ONLY)).outcome is NO
    for reach in (Reach(path=N), Reach(path=P, mode=OPEN)):
        with pytest.raises(DocumentError, match="public network access is not known"):
            query_access(reach)


# ------------------------------------------------------------------- uploads


@pytest.mark.parametrize(
    ("path", "is_member", "public", "expected"),
    [
        (P, True, ON, YES),
        (P, True, OFF, YES),
        (P, True, PERIMETER, YES),
        (N, True, ON, YES),
        (N, False, ON, YES),
        (N, True, OFF, NO),
        (N, False, OFF, NO),
        (N, True, PERIMETER, UNKNOWN),
        (NOWHERE, True, OFF, NAMELESS),
        (NOWHERE, False, ON, NAMELESS),
        (P, False, ON, UNKNOWN),
        (P, False, OFF, UNKNOWN),
    ],
)
@pytest.mark.parametrize("mode", [OPEN, PRIVATE_ONLY, None])
def test_uploads_do_not_obey_access_modes(
    path: Path, is_member: bool, public: PublicAccess, expected: Outcome, mode: AccessMode | None
) -> None:
    """Each row of the table for uploads holds in every mode."""
    found = upload_access(Reach(path=path, is_member=is_member, public=public, mode=mode))
    assert found.outcome is expected


def test_a_refused_upload_names_what_the_agent_logs() -> None:
    """A 403 without a body is all that the agent gets."""
    assert "403 with an empty body" in upload_access(Reach(path=N, public=OFF)).reason


@pytest.mark.parametrize("path", [P, N, NOWHERE])
def test_of_uploads_to_an_endpoint_the_public_path_is_inferred(path: Path) -> None:
    """No page says what an endpoint's flag does to uploads; the outcome is the workspace's, and is marked."""
    reach = Reach(path=path, is_member=True, public=OFF)
    found = upload_access(reach, is_endpoint=True)
    assert (found.outcome, found.is_inferred) == (upload_access(reach).outcome, path is N)
    assert not upload_access(reach).is_inferred


# ------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("handler", "dce", "expected", "is_inferred"),
    [
        (P, None, NO, False),
        (P, Reach(path=P, public=OFF, is_member=True), YES, False),
        (P, Reach(path=P, public=ON, is_member=True), YES, False),
        (P, Reach(path=N, public=ON), NO, False),
        (P, Reach(path=N, public=OFF), NO, False),
        (P, Reach(path=P, public=ON), NO, True),
        (P, Reach(path=NOWHERE, public=ON), NAMELESS, False),
        (P, Reach(path=NOWHERE, public=OFF, is_member=True), NAMELESS, True),
        (P, Reach(path=N, public=ON, is_member=True), UNKNOWN, False),
        (N, None, YES, False),
        (N, Reach(path=N, public=ON), YES, True),
        (N, Reach(path=N, public=ON, is_member=True), YES, True),
        (N, Reach(path=N, public=OFF), NO, True),
        (N, Reach(path=N, public=OFF, is_member=True), NO, True),
        (N, Reach(path=N, public=PERIMETER), UNKNOWN, True),
        (N, Reach(path=P, public=ON, is_member=True), UNKNOWN, False),
        (N, Reach(path=NOWHERE, public=ON), NAMELESS, True),
        (NOWHERE, None, NAMELESS, False),
        (NOWHERE, Reach(path=P, public=ON, is_member=True), NAMELESS, False),
    ],
)
def test_an_agent_gets_its_configuration_by_one_consistent_path(
    handler: Path, dce: Reach | None, expected: Outcome, is_inferred: bool
) -> None:
    """Each row of the table for configuration holds; those that no page states are marked."""
    found = configuration_access(handler, dce)
    assert (found.outcome, found.is_inferred) == (expected, is_inferred)


@pytest.mark.parametrize("dce", [None, Reach(path=N, public=ON), Reach(path=P, public=ON)])
def test_a_refused_configuration_names_the_text_that_people_search_for(dce: Reach | None) -> None:
    """Over a private link, without an endpoint of its scope, it is always the same refusal."""
    reason = configuration_access(P, dce).reason
    assert '403 "Data collection endpoint must be used to access configuration over private link"' in reason


# ------------------------------------------------------------------- what holds of all combinations


@pytest.mark.parametrize("judge", [query_access, telemetry_access, upload_access])
@pytest.mark.parametrize("reach", _reaches(P, N, NOWHERE), ids=repr)
def test_closing_a_resource_or_a_scope_never_opens_anything(judge: Judge, reach: Reach) -> None:
    """A stricter flag or mode allows nothing that the looser one does not."""
    found = judge(reach)
    for looser in (
        msgspec.structs.replace(reach, public=ON),
        msgspec.structs.replace(reach, mode=OPEN),
    ):
        assert found.outcome is not YES or judge(looser).outcome is YES


@pytest.mark.parametrize("judge", [query_access, telemetry_access, upload_access])
@pytest.mark.parametrize("reach", _reaches(N), ids=repr)
def test_the_mode_never_counts_on_the_public_path(judge: Judge, reach: Reach) -> None:
    """A scope in PrivateOnly mode does not close its members to the internet, nor does membership."""
    others = [
        msgspec.structs.replace(reach, mode=mode, is_member=member, is_in_any_scope=True)
        for mode, member in product((OPEN, PRIVATE_ONLY, None), (True, False))
    ]
    assert {judge(other).outcome for other in others} == {judge(reach).outcome}


def test_a_member_of_no_scope_is_a_contradiction() -> None:
    """Facts that cannot both be true are not judged."""
    with pytest.raises(ValueError, match="a member of a scope is in a scope"):
        Reach(path=P, public=ON, is_member=True, is_in_any_scope=False)


# ------------------------------------------------------------------- flags and modes in documents


@pytest.mark.parametrize(
    ("text", "expected"), [("Enabled", ON), ("disabled", OFF), ("SECUREDBYPERIMETER", PERIMETER)]
)
def test_a_flag_is_read_whatever_its_case(text: str, expected: PublicAccess) -> None:
    """ARM and templates spell the values differently."""
    assert PublicAccess.parse(text) is expected


def test_an_unknown_flag_is_not_taken_for_closed() -> None:
    """A value that nobody knows says nothing."""
    with pytest.raises(DocumentError, match="'Sometimes', which is none of Enabled, Disabled"):
        PublicAccess.parse("Sometimes")


def _settings(plan: NetworkBlueprint) -> dict[str, object]:
    settings: dict[str, object] = plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    return settings


def _mode(plan: NetworkBlueprint, kind: str = "query") -> AccessMode:
    estate = plan.build()
    return effective_mode(ampls(estate), endpoint(estate), kind)


def _exclusion(name: str, **modes: str) -> dict[str, str]:
    return {"privateEndpointConnectionName": name, **modes}


def test_without_an_exclusion_the_scope_s_mode_counts() -> None:
    """Each kind has its own."""
    plan = private_estate()
    _settings(plan)["queryAccessMode"] = "open"
    assert (_mode(plan), _mode(plan, "ingestion")) == (OPEN, PRIVATE_ONLY)


def test_an_exclusion_counts_for_its_connection_only() -> None:
    """The connection is found by the endpoint it is of, and its name compares without case."""
    plan = private_estate()
    modes = {"queryAccessMode": "Open", "ingestionAccessMode": "Open"}
    _settings(plan)["exclusions"] = [_exclusion("another", **modes)]
    assert _mode(plan) is PRIVATE_ONLY
    _settings(plan)["exclusions"] = [_exclusion("another"), _exclusion("PE.connection", **modes)]
    assert (_mode(plan), _mode(plan, "ingestion")) == (OPEN, OPEN)


def test_an_exclusion_of_another_endpoint_does_not_count() -> None:
    """A scope has a connection per endpoint: the clients of one do not get the mode of the other's."""
    plan = private_estate()
    plan.endpoint("pe2", "ampls", "hub/endpoints", {"api": (member_name("api"), "192.168.0.100")})
    _settings(plan)["exclusions"] = [_exclusion("pe2.connection", queryAccessMode="Open")]
    estate = plan.build()
    modes = [effective_mode(ampls(estate), endpoint(estate, name), "query") for name in ("pe", "pe2")]
    assert modes == [PRIVATE_ONLY, OPEN]


def test_a_mode_that_is_missing_has_no_default() -> None:
    """Neither the scope's nor that of an exclusion, nor both together."""
    plan = private_estate()
    _settings(plan)["exclusions"] = [_exclusion("pe.connection", ingestionAccessMode="Open")]
    with pytest.raises(DocumentError, match=r"exclusions\[0\]\.queryAccessMode"):
        _mode(plan)
    del _settings(plan)["exclusions"], _settings(plan)["queryAccessMode"]
    with pytest.raises(DocumentError, match=r"accessModeSettings\.queryAccessMode"):
        _mode(plan)
    del plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    with pytest.raises(DocumentError, match=r"properties\.accessModeSettings"):
        _mode(plan)


def test_a_mode_that_nobody_knows_is_an_error() -> None:
    """It is not taken for one of the two."""
    plan = private_estate()
    _settings(plan)["queryAccessMode"] = "Half"
    with pytest.raises(DocumentError, match="'Half', which is none of Open, PrivateOnly"):
        _mode(plan)


def test_exclusions_need_the_connections() -> None:
    """Whose exclusion it is cannot be told where connections were denied, or none is the endpoint's."""
    plan = private_estate()
    _settings(plan)["exclusions"] = [_exclusion("pe.connection", queryAccessMode="Open")]
    plan.gaps[CONNECTIONS] = denied("connections")
    with pytest.raises(AccessDeniedError, match="connections"):
        _mode(plan)
    plan.gaps.clear()
    plan.remove(CONNECTIONS, lambda name: True)
    with pytest.raises(DocumentError, match="lists no connection of private endpoint 'pe'"):
        _mode(plan)
