"""From the bytes of an answer to rows: what is there, what is missing, and never an empty list by mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ampls.logs.rows import refusal_of, rows_of, service_time
from tests.logs.answers import ID, NOW, answer, row

MACHINES = {ID}


def body(document: Any) -> bytes:
    """Return a document as it comes over the wire."""
    return json.dumps(document).encode()


def test_a_row_is_read_with_every_part() -> None:
    """Time to the second's fraction, the address, the list inside of a text, and the id in any case."""
    found = rows_of(body(answer(row(ID.upper().replace("VM1", "vm1")))), MACHINES)
    assert (found.problem, found.understood) == ("", True)
    (heartbeat,) = found.heartbeats
    assert heartbeat.time_generated == NOW - 30
    assert heartbeat.computer_ip == "fd40:1085:12:6d79:7712:100:c0a8:4"
    assert heartbeat.computer_private_ips == ("192.168.0.4",)
    assert (heartbeat.category, heartbeat.computer) == ("Azure Monitor Agent", "vm1")


def test_an_empty_table_is_no_rows_and_no_problem() -> None:
    """Nothing arrived, and that was really answered."""
    assert rows_of(body(answer()), MACHINES) == ((), "", True)


def test_rows_of_others_are_dropped() -> None:
    """A machine that is not asked for, and a computer that is no resource, leave nothing behind."""
    nobody: dict[str, Any] = {"_ResourceId": None}
    others = [row(ID.replace("vm1", "vm2")), row(""), row(**nobody)]
    assert rows_of(body(answer(*others)), MACHINES) == ((), "", True)


def test_the_newest_of_several_rows_counts() -> None:
    """Ids that differ in case are one machine."""
    rows = [row(age=90), row(ID.replace("vm1", "VM1"), age=30), row(age=60)]
    (heartbeat,) = rows_of(body(answer(*rows)), MACHINES).heartbeats
    assert heartbeat.time_generated == NOW - 30


def test_another_agents_newer_row_hides_nothing() -> None:
    """A machine that is moved from one agent to the other has both for a while; which is newer changes every minute."""
    rows = [row(age=20, Category="Direct Agent"), row(age=50), row(age=10, Category="Direct Agent")]
    for some in (rows, rows[::-1]):
        (heartbeat,) = rows_of(body(answer(*some)), MACHINES).heartbeats
        assert (heartbeat.time_generated, heartbeat.category) == (NOW - 50, "Azure Monitor Agent")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty body"),
        (b" \r\n", "empty body"),
        (b"<html>", "cannot be understood"),
        (b"[" * 100_000, "cannot be understood"),
        (b"\xff\xfe", "cannot be understood"),
        (b"[]", "cannot be understood"),
        (b'{"tables": {}}', "cannot be understood"),
        (b'{"tables": [{"name": "PrimaryResult", "columns": []}]}', "cannot be understood"),
        (b"{}", "no tables"),
        (b'{"tables": null}', "no tables"),
        (b'{"tables": []}', "no table PrimaryResult"),
        (body(answer(table="Table_0")), "no table PrimaryResult"),
        (body({"error": {"code": "PartialError", "message": "x"}}), r"not whole, .*PartialError: x"),
        *(
            (body(answer(row(), without=name)), f"lacks the column {name}")
            for name in ("ComputerIP", "Category")
        ),
    ],
)
def test_what_is_no_answer_has_no_rows(content: bytes, problem: str) -> None:
    """Bodies that are empty, garbage, or lack what was asked for are problems, and were not understood."""
    found = rows_of(content, MACHINES)
    assert not found.heartbeats
    assert not found.understood
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found.problem)


@pytest.mark.parametrize(
    "changes",
    [
        {"TimeGenerated": None},
        {"TimeGenerated": "yesterday"},
        {"TimeGenerated": "2026-09-21T13:33:20"},
        {"TimeGenerated": "9999-99-99T00:00:00Z"},
        {"TimeGenerated": 7},
        {"ComputerPrivateIPs": "192.168.0.4"},
        {"ComputerPrivateIPs": '{"a": 1}'},
        {"ComputerPrivateIPs": [1]},
        {"ComputerIP": 7},
        {"Category": ["Azure Monitor Agent"]},
        {"_ResourceId": 7},
    ],
)
def test_a_row_that_is_not_as_the_schema_has_it_is_told(changes: dict[str, Any]) -> None:
    """Such a row is not taken, the others are, and the problem says how many there were."""
    found = rows_of(body(answer(row(**changes), row())), MACHINES)
    assert len(found.heartbeats) == 1
    assert found.problem.startswith("1 of 2 rows are not as")
    assert found.understood


def test_a_row_of_another_length_is_told() -> None:
    """A row that does not fit the columns may mean anything."""
    assert "1 of 1 rows" in rows_of(body(answer(row())).replace(b', "vm1"]', b"]"), MACHINES).problem


@pytest.mark.parametrize("value", [["192.168.0.4"], '["192.168.0.4"]'])
def test_a_list_is_taken_as_a_list_or_inside_of_a_text(value: object) -> None:
    """Dynamic values come as text; a list is understood as well."""
    (heartbeat,) = rows_of(body(answer(row(ComputerPrivateIPs=value))), MACHINES).heartbeats
    assert heartbeat.computer_private_ips == ("192.168.0.4",)


def test_an_answer_with_an_error_beside_the_rows_is_not_whole() -> None:
    """Rows are kept, and the problem says that there may be more."""
    found = rows_of(body(answer(row(), error={"code": "PartialError", "message": "half"})), MACHINES)
    assert len(found.heartbeats) == 1
    assert found.problem == "the answer is not whole, rows may be missing (PartialError: half)"


def test_long_texts_are_cut() -> None:
    """A megabyte in a row is kept by nobody."""
    (heartbeat,) = rows_of(body(answer(row(ComputerIP="x" * 1_000_000))), MACHINES).heartbeats
    assert len(heartbeat.computer_ip) < 1000


@given(
    st.binary()
    | st.recursive(
        st.none() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["tables", "error", "name", "columns", "rows"]), inner)
        ),
    ).map(body)
)
def test_no_bytes_are_an_answer_by_chance(content: bytes) -> None:
    """Whatever comes, it is understood as asked for, or it is a problem."""
    found = rows_of(content, MACHINES)
    assert found.understood or found.problem
    assert refusal_of(content) is not None


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b'{"error": "x"}', b'{"error": {"code": 7}}', b"\xff"]
)
def test_an_error_of_another_kind_has_no_codes(content: bytes) -> None:
    """What is none of the service's errors is told by nothing."""
    assert refusal_of(content) == ("", "", "")


def test_the_time_is_the_service_s() -> None:
    """The Date header is believed where it is one."""
    assert service_time({"date": "Mon, 21 Sep 2026 14:13:20 GMT"}) == NOW
    assert service_time({"date": "soon"}) is None
    assert service_time({}) is None


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 21 Sep 2026 14:13:20",
        "Mon, 21 Sep 2026 14:13:20 -0000",
        "Mon Sep 21 14:13:20 2026",
        "Monday, 21-Sep-26 14:13:20 GMT",
    ],
)
def test_a_date_without_a_zone_is_not_taken_for_local_time(date: str) -> None:
    """Every form of an HTTP date is in UTC: in a zone ahead of it, old rows would look hours younger."""
    script = "import sys; from pytest_ampls.logs.rows import service_time; print(service_time({'date': sys.argv[1]}))"
    zone = {**os.environ, "TZ": "UTC-8"}  # as POSIX has it: eight hours ahead
    command = [sys.executable, "-c", script, date]
    told = subprocess.run(command, env=zone, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(NOW)
