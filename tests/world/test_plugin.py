"""The plugin in the world: all green when it is healthy, each fault found by the right rule and named first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from pytest_ampls import diagnose
from pytest_ampls.arm.snapshot import load
from pytest_ampls.model import Estate
from tests.world import faults
from tests.world.faults import VICTIM, documents_with
from tests.world.files import TOKEN
from tests.world.world import World

LINUX = frozenset({"hub", "spoke1", "spoke3", "spoke4", "flex_3f1a2b0c", "flex_8d9e0f1a", "onprem1"})
"""The machines that are asked over ssh."""
ALL = LINUX | {"spoke2"}
"""With the Windows machine, which the lab's Run Command speaks for: it knows faults of the documents."""
NETWORKS = frozenset({"hub", "spoke1", "spoke2", "spoke3", "spoke4"})
ONE = frozenset({VICTIM})
LIVE = {"AMPLS310": frozenset({"ampls-hub"}), "AMPLS311": frozenset({"ampls-hub"})}
LOOKED = [f"AMPLS{number}" for number in (310, 311, 313, *range(520, 528), 901, 902, 903)]


ENDPOINT = frozenset({"ampls"})


class Case(NamedTuple):
    """A fault, the rules that must find it (and on what), and the machine's first broken link by stage and rule.

    ``unguested`` is that link where the machine's guest tells nothing, ``blinded`` are the rules that cannot be
    verified.
    """

    fault: Callable[[World], AbstractContextManager[object]]
    broken: Mapping[str, frozenset[str]]
    first: tuple[int | None, str | None]
    unguested: tuple[int | None, str | None] | None = None
    blinded: Mapping[str, frozenset[str]] = {}


CASES = {
    "zone unlinked": Case(
        documents_with("monitor-zone-unlinked"),
        {"AMPLS301": NETWORKS, "AMPLS309": NETWORKS, "AMPLS522": ALL, **LIVE},
        (6, "AMPLS301"),
    ),
    "ods zone only": Case(
        documents_with("zone-unlinked"),
        {"AMPLS301": NETWORKS, "AMPLS309": NETWORKS, "AMPLS522": ALL, **LIVE},
        (9, "AMPLS301"),
    ),
    "spoke bypasses the hub": Case(
        documents_with("spoke-bypasses-hub-dns"), {"AMPLS301": ONE, "AMPLS522": ONE}, (6, "AMPLS301")
    ),
    "empty zone linked": Case(
        documents_with("empty-zone-linked"),
        {"AMPLS305": frozenset({"landing-zone/privatelink.monitor.azure.com"}), "AMPLS522": ONE},
        (6, "AMPLS305"),
    ),
    # The name is one that agents do not use: the estate is broken, the machine's data path is not.
    "stale record": Case(
        documents_with("record-stale"),
        {"AMPLS303": frozenset({"privatelink.monitor.azure.com"}), **LIVE},
        (None, None),
    ),
    "record missing": Case(
        documents_with("record-missing"), {"AMPLS302": frozenset({"ampls"}), **LIVE}, (None, None)
    ),
    "old address": Case(faults.resolvers_keep_an_old_address, {"AMPLS522": LINUX, **LIVE}, (9, "AMPLS310")),
    "forwarder wrong": Case(
        faults.forwarder_asks_the_public_dns, {"AMPLS522": LINUX - {"hub"}, **LIVE}, (6, "AMPLS310")
    ),
    "hosts override": Case(faults.hosts_file_overrides, {"AMPLS313": ONE, "AMPLS522": ONE}, (9, "AMPLS313")),
    "dual scope overwrote": Case(
        faults.another_scope_overwrote_the_records,
        {
            "AMPLS202": frozenset({"hub"}),
            "AMPLS310": frozenset({"ampls-hub", "ampls-other-hub"}),
            "AMPLS311": frozenset({"ampls-hub", "ampls-other-hub"}),
        },
        (6, "AMPLS310"),
    ),
    "scope without the resources overwrote": Case(
        faults.a_scope_without_the_resources_overwrote_the_records,
        {
            "AMPLS103": frozenset({"amplstest12345"}),
            "AMPLS202": frozenset({"hub"}),
            "AMPLS303": frozenset({"privatelink.blob.core.windows.net", "privatelink.monitor.azure.com"}),
            "AMPLS304": NETWORKS,
            "AMPLS404": ALL - {"onprem1"} | {"uniform"},
            "AMPLS407": ALL - {"onprem1"} | {"uniform"},
            "AMPLS522": ALL,
            **LIVE,
        },
        (6, "AMPLS303"),
    ),
    "port 443 dropped": Case(faults.port_443_dropped, {"AMPLS523": ONE}, (6, "AMPLS523")),
    "address gone": Case(
        faults.address_gone,
        {"AMPLS523": LINUX, "AMPLS903": ENDPOINT},
        (9, "AMPLS523"),
        unguested=(9, "AMPLS903"),
        blinded={"AMPLS901": ENDPOINT, "AMPLS902": ENDPOINT},
    ),
    "TLS 1.0 only": Case(
        faults.tls_1_0_only, {"AMPLS523": LINUX, "AMPLS901": frozenset({"ampls"})}, (6, "AMPLS523")
    ),
    "chain re-signed": Case(
        faults.chain_resigned, {"AMPLS523": LINUX, "AMPLS902": frozenset({"ampls"})}, (6, "AMPLS523")
    ),
    "token: identity not found": Case(faults.identity_not_found, {"AMPLS521": ONE}, (5, "AMPLS521")),
    "token: identity detached": Case(
        documents_with("identity-detached"), {"AMPLS502": ONE, "AMPLS521": ONE}, (4, "AMPLS502")
    ),
    "token: several identities": Case(
        faults.identities_without_a_choice, {"AMPLS503": ONE, "AMPLS521": ONE}, (3, "AMPLS503")
    ),
    "token: no service": Case(faults.metadata_service_gone, {"AMPLS521": ONE}, (5, "AMPLS521")),
    "agent stopped": Case(faults.agent_stopped, {"AMPLS520": ONE}, (2, "AMPLS520")),
    "legacy mode": Case(faults.legacy_mode, {"AMPLS526": ONE}, (2, "AMPLS526")),
    "log full of ODS 403": Case(faults.uploads_refused, {"AMPLS524": ONE}, (9, "AMPLS524")),
    "no configuration": Case(faults.configuration_not_downloaded, {"AMPLS525": ONE}, (7, "AMPLS525")),
    "disk full": Case(faults.disk_full, {"AMPLS527": ONE}, (8, "AMPLS527")),
}


def _diagnosis(snapshot: Path, *, guests: bool = True) -> dict[str, Any]:
    evidence = load(snapshot)
    if not guests:
        evidence = msgspec.structs.replace(evidence, guests=())
    text, _ = diagnose.run(Estate(evidence), [VICTIM], form="json")
    machine: dict[str, Any] = json.loads(text)["machines"][0]
    return machine


def test_the_healthy_world_is_green(world: World, tmp_path: Path) -> None:
    """Every rule holds; those that look at guests, names and connections did look, everywhere; no token is kept."""
    snapshot = tmp_path / "evidence.ampls"
    judged = world.plugin("--ampls-probe", f"--ampls-snapshot-out={snapshot}")
    assert (judged.broken, judged.unverified, judged.code) == ({}, {}, 0), judged.text
    assert set(LOOKED) <= set(judged.held)
    for rule in ("AMPLS313", "AMPLS520", "AMPLS522", "AMPLS523", "AMPLS525", "AMPLS527"):
        assert judged.held[rule] == ALL
    # The token service of an Arc machine is not asked: the rule does not concern it.
    assert judged.held["AMPLS521"] == ALL - {"onprem1"}
    stages = {stage["number"]: stage["verdict"] for stage in _diagnosis(snapshot)["stages"]}
    assert [stages[number] for number in range(1, 10)] == ["held"] * 9
    assert TOKEN not in judged.text
    assert TOKEN not in repr(load(snapshot))


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_found_and_named(world: World, tmp_path: Path, name: str) -> None:
    """Exactly the rules of a fault are broken, and the diagnosis names the first broken link of the machine."""
    case = CASES[name]
    snapshot = tmp_path / "evidence.ampls"
    with case.fault(world):
        judged = world.plugin("--ampls-probe", f"--ampls-snapshot-out={snapshot}")
    assert judged.broken == case.broken, judged.text
    assert judged.unverified == case.blinded, judged.text
    assert judged.code == 1
    found = _diagnosis(snapshot)
    assert (found["firstBroken"], found["rule"]) == case.first
    if case.unguested is not None:
        found = _diagnosis(snapshot, guests=False)
        assert (found["firstBroken"], found["rule"]) == case.unguested


def test_a_fault_leaves_no_trace(world: World) -> None:
    """After a fault of each kind the world is green again."""
    for fault in (
        documents_with("zone-unlinked"),
        faults.forwarder_asks_the_public_dns,
        faults.chain_resigned,
        faults.another_scope_overwrote_the_records,
        faults.metadata_service_gone,
        faults.agent_stopped,
    ):
        with fault(world):
            pass
    judged = world.plugin("--ampls-probe")
    assert (judged.broken, judged.unverified) == ({}, {}), judged.text


def test_the_data_path_is_diagnosed_on_the_runner(world: World) -> None:
    """The command line says the same as the rules: where the machine's data stops, and why."""
    with documents_with("zone-unlinked")(world):
        code, text = world.diagnose(f"--ampls-diagnose={VICTIM}")
    assert code == diagnose.BROKEN, text
    assert f"{VICTIM}'s data stops at stage 9" in text
    assert "privatelink.ods.opinsights.azure.com" in text


def test_every_stage_of_a_healthy_machine_holds(world: World) -> None:
    """With guests, probes and log rows nothing is left unseen, and the run ends well."""
    code, text = world.diagnose(
        f"--ampls-diagnose={VICTIM}", "--ampls-probe", "--ampls-logs", "--ampls-diagnose-format=json"
    )
    assert code == diagnose.HELD, text
    told = json.JSONDecoder().raw_decode(text, text.index("{"))[0]["machines"][0]
    assert [stage["verdict"] for stage in told["stages"]] == ["held"] * 10


def test_a_guest_with_another_key_is_not_believed(world: World) -> None:
    """A host key that is not the known one: the guest's verdicts are unverified, never green."""
    known = world.keys.folder / "known_hosts"
    before = known.read_text()
    address = world.estate.machines[VICTIM].address
    try:
        known.write_text(
            "".join(line for line in before.splitlines(True) if not line.startswith(f"{address} "))
        )
        judged = world.plugin()
    finally:
        known.write_text(before)
    assert judged.broken == {}, judged.text
    assert VICTIM in judged.unverified["AMPLS520"]
    assert judged.held["AMPLS520"] == ALL - ONE
