"""Evidence with a part that is missing, doubled or garbage: a verdict or an error, and never a break turned green."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from pytest_ampls.assertions import assert_heartbeat, assert_heartbeat_private
from pytest_ampls.catalogue import ConformanceError, Rule, Verdict, judgements
from pytest_ampls.effective.guest_names import guest_questions, right_addresses
from pytest_ampls.errors import EvidenceError
from pytest_ampls.guest.script import Request
from pytest_ampls.guest.state import state_of
from pytest_ampls.guest.transcript import transcript
from pytest_ampls.logs.rows import rows_of
from pytest_ampls.model import Estate, Gap, GapKind, Machine, ResourceId, Snapshot
from pytest_ampls.model.handshake import RUNNER, Certificate, Handshake
from pytest_ampls.model.log_rows import LogReading
from tests.assertions.asked_estate import answer, asked
from tests.assertions.log_readings import NOW, VM1, read
from tests.assertions.machines import machine, monitored_estate
from tests.builders import DCRS, SUBSCRIPTION, Document, build_estate
from tests.guards.suite import Outcomes, judge_all
from tests.guest.test_rules import ALL
from tests.guest.test_transcript import NONCE, spoken
from tests.model.test_live_samples import FILES, documents

ABSENT = object()
RED = (Verdict.BROKEN, Verdict.UNVERIFIED)
Path = tuple[str | int, ...]


def paths(value: Any, base: Path = ()) -> Iterator[Path]:
    """Yield the path of everything inside a JSON value."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for name, part in inner:
        yield (*base, name)
        yield from paths(part, (*base, name))


def damaged(value: Any, path: Path, other: object) -> Any:
    """Return a copy of a JSON value with another one at a path, or with none."""
    copy = json.loads(json.dumps(value))
    place = copy
    for name in path[:-1]:
        place = place[name]
    if other is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = other
    return copy


def greener(before: Outcomes, after: Outcomes) -> set[str]:
    """Return the rules that hold where they were broken or unverified before."""
    return {key[0] for key, verdict in before.items() if verdict in RED and after.get(key) is Verdict.HELD}


def verdicts(vm: Machine, rules: Iterable[Rule[[Machine]]]) -> Outcomes:
    """Return what becomes of rules on one machine."""
    with judgements() as kept:
        for rule in rules:
            with suppress(ConformanceError, EvidenceError):
                rule(vm)
    return {(each.rule, each.resource_id): each.verdict for each in kept}


# ------------------------------------------------------------------- guests

GARBAGE = ("", "x", "0", "99999 x", "%00%ff 1", "nan", "1e999 1 1 1 1", "0 0 0 0 0 0 0 0", "[ x", "1 1")


def _guest_estate() -> tuple[Estate, Request, list[str]]:
    """Return an estate, what vm1 of it is asked, and the right address of each name."""
    plan = monitored_estate()
    plan[DCRS, "dcr-linux"]["properties"]["immutableId"] = "dcr-1"
    estate = plan.build()
    vm = machine(estate)
    request = Request(nonce=NONCE, questions=guest_questions(vm))
    return estate, request, [min(right_addresses(vm, name)) for name in request.names]


def _spoiled(right: list[str]) -> dict[str, list[str]]:
    """Return what a guest tells of which every rule about guests is broken by one line."""
    agreed = "tls TLSv1.3 TLS_AES_256_GCM_SHA384 ok CN=CA CN=a"
    return {
        "system": ["1772355600 Linux x86_64 0"],
        "services": ["azuremonitoragent active", "azuremonitor-coreagent failed"],
        "started": ["1772348400"],
        "mode": ["gcs"],
        "tokens": ["0 400 invalid_request Identity%20not%20found"],
        "dns_servers": ["192.168.0.4"],
        "lookups": [f"{n} {each} -" for n, each in enumerate(right[:-1])] + ["3 20.1.1.1 20.1.1.1"],
        "handshakes": [f"0 {right[0]} no Connection%20refused"]
        + [f"{n} {each} {agreed}" for n, each in enumerate(right[1:], 1)],
        "health": ["0 Healthy (HTTP 200)"],
        "chunks": ["1.json 1772348400 dcr-9 ods #0"],
        "disks": ["/var/opt/microsoft/azuremonitoragent 5"],
        "log": ["- odd", "2026-03-01T08:20:00 Failed%20to%20upload%20to%20ODS:%20403"],
    }


def test_a_damaged_transcript_turns_no_rule_green() -> None:
    """Each line dropped, doubled, the end cut off there, or garbage in its place."""
    estate, request, right = _guest_estate()
    vm = machine(estate)

    def judged(lines: list[bytes]) -> Outcomes:
        told = transcript(b"\n".join(lines), NONCE)
        state = state_of(vm.id, "ssh", told, request, system="Linux", read_at=1772355600.0, where="ssh")
        return verdicts(machine(Estate(msgspec.structs.replace(estate.snapshot, guests=(state,)))), ALL)

    lines = spoken(_spoiled(right)).split(b"\n")
    before = judged(lines)
    assert set(before.values()) == {Verdict.BROKEN}
    for place, line in enumerate(lines):
        head, tail = lines[:place], lines[place + 1 :]
        others = [f"{NONCE} . {text}".encode() for text in random.Random(place).sample(GARBAGE, 3)]
        variants = [head + tail, [*head, line, line, *tail], head, [*head, b"\xff\xfe", *tail]]
        for variant in (*variants, *([*head, other, *tail] for other in others)):
            assert not greener(before, judged(variant)), (line, variant[place : place + 1])


# ------------------------------------------------------------------- log rows

COLUMNS = ("_ResourceId", "TimeGenerated", "ComputerIP", "ComputerPrivateIPs", "Category", "Computer")
OTHERS: tuple[object, ...] = (ABSENT, None, 7, "", "x", [], {})


def _table(when: str, sender: str) -> Document:
    row = [VM1, when, sender, '["192.168.1.4"]', "Azure Monitor Agent", "vm1"]
    columns = [{"name": name, "type": "string"} for name in COLUMNS]
    return {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": [row]}]}


def _logged(snapshot: Snapshot, body: Document) -> Outcomes:
    rows = rows_of(json.dumps(body).encode(), {VM1})
    gap = Gap(kind=GapKind.MALFORMED, message=rows.problem) if rows.problem else None
    reading: LogReading = read(*rows.heartbeats, gap=gap) if gap else read(*rows.heartbeats)
    estate = Estate(msgspec.structs.replace(snapshot, logged=True, logs=(reading,)))
    return verdicts(machine(estate), (assert_heartbeat, assert_heartbeat_private))


@pytest.mark.parametrize(
    ("when", "sender"),
    [
        ("2026-09-21T13:00:00Z", "fd40:1085:12:6d79:7712:100:c0a8:104"),
        ("2026-09-21T14:12:20Z", "203.0.113.9"),
    ],
    ids=["stale", "public"],
)
def test_a_damaged_answer_turns_no_rule_green(when: str, sender: str) -> None:
    """Each part of a workspace's answer absent or of another type."""
    assert NOW == 1_790_000_000.0
    snapshot = monitored_estate().build().snapshot
    body = _table(when, sender)
    before = _logged(snapshot, body)
    assert Verdict.BROKEN in before.values()
    for path in paths(body):
        for other in OTHERS:
            assert not greener(before, _logged(snapshot, damaged(body, path, other))), (path, other)


# ------------------------------------------------------------------- answers and connections

ANSWERS: Mapping[str, tuple[Any, ...]] = {
    "status": ("", "SERVFAIL", "noerror", "NXDOMAIN"),
    "chain": ((), ("",)),
    "addresses": ((), ("",), ("x",), ("::1",), ("0.0.0.0",)),  # an answer, not a place to listen
    "computed": ("odd", "public", "mixed"),
    "name": ("", "x"),
    "vantage_point": ("", "nobody"),
}
SHAKES: Mapping[str, tuple[Any, ...]] = {
    "version": ("", "SSLv3"),
    "versions": ({}, {"TLSv1": ""}, {"TLSv1": "odd", "TLSv1.1": "refused"}),
    "chain": ((),),
    "name": ("", "x"),
    "address": ("", "x"),
    "vantage_point": ("guest",),
    "gap": tuple(Gap(kind=kind, message="odd") for kind in GapKind),
}


def test_a_damaged_dns_answer_turns_no_rule_green() -> None:
    """A public answer with each of its parts spoilt, or lost."""
    plan = asked(monitored_estate())
    answer(plan, "api.monitor.azure.com", "20.1.1.1")
    snapshot = plan.build().snapshot
    (wrong,) = [each for each in snapshot.answers if each.addresses == ("20.1.1.1",)]
    rest = tuple(each for each in snapshot.answers if each is not wrong)
    before = judge_all(Estate(snapshot))
    assert before["AMPLS310", "private_endpoint=pe/resolver=there"] is Verdict.BROKEN
    spoilt = [
        msgspec.structs.replace(wrong, **{part: other}) for part, odd in ANSWERS.items() for other in odd
    ]
    for answers in (rest, *((*rest, each) for each in spoilt)):
        after = judge_all(Estate(msgspec.structs.replace(snapshot, answers=answers)))
        assert not greener(before, after), answers[-1]


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("AMPLS901", {"version": "TLSv1"}),
        ("AMPLS902", {"trusted": False, "distrust": "self-signed"}),
        ("AMPLS903", {"reached": False, "gap": Gap(kind=GapKind.UNREACHABLE, message="refused")}),
    ],
)
def test_a_damaged_handshake_turns_no_rule_green(rule: str, wrong: dict[str, Any]) -> None:
    """A connection that breaks a rule, with each of its other parts spoilt, or lost."""
    snapshot = asked(monitored_estate()).build().snapshot
    healthy = [
        Handshake(
            vantage_point=RUNNER,
            name=each.name,
            address=each.addresses[0],
            reached=True,
            version="TLSv1.3",
            cipher="TLS_AES_256_GCM_SHA384",
            versions={"TLSv1": "refused", "TLSv1.1": "refused"},
            chain=(Certificate(subject="CN=a", issuer="CN=CA"),),
            trusted=True,
        )
        for each in snapshot.answers
    ]
    first = msgspec.structs.replace(healthy[0], **wrong)

    def judged(*found: Handshake) -> Outcomes:
        shakes = (*found, *healthy[1:])
        return judge_all(Estate(msgspec.structs.replace(snapshot, probed=True, handshakes=shakes)))

    before = judged(first)
    assert before[rule, "private_endpoint=pe"] is Verdict.BROKEN
    assert not greener(before, judged())
    for part, odd in SHAKES.items():
        for other in odd if part not in wrong else ():
            after = judged(msgspec.structs.replace(first, **{part: other}))
            assert not greener(before, after), (part, other)


# ------------------------------------------------------------------- documents


@pytest.mark.skipif(not FILES, reason="no recorded samples beside the checkout")
def test_a_damaged_document_is_no_crash() -> None:
    """Properties of recorded documents absent or of another type, beside a whole estate: errors of evidence at most."""
    chosen = random.Random(7)
    shapes: dict[object, tuple[str, Document]] = {}
    for file in FILES:
        for cls, document in documents(file):
            shapes.setdefault((cls, tuple(sorted(map(str, paths(document))))), (cls.ARM_TYPE, document))
    whole = {kind: list(named.values()) for kind, named in monitored_estate().documents.items()}
    for kind, document in shapes.values():
        path = chosen.choice([path for path in paths(document) if path != ("id",)])
        spoilt = damaged(document, path, chosen.choice(OTHERS))
        places = {SUBSCRIPTION: None, ResourceId.parse(document["id"]).subscription: None}
        known = {**whole, kind: [*whole.get(kind, []), spoilt]}
        assert judge_all(build_estate(known, subscriptions=tuple(places)))
