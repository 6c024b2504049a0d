"""The lab's part of Kusto: what it answers is right, and what it does not know it refuses."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_ampls.lab.logs.lexer import TICKS, QueryRefusedError, ticks_of, tokenize
from pytest_ampls.lab.logs.query import run_query
from pytest_ampls.lab.logs.relation import STEP, Bounds, Relation, Row, Series, TooLargeError
from tests.lab.log_client import LogClient, serving

COLUMNS = {
    "TimeGenerated": "datetime",
    "Computer": "string",
    "Size": "long",
    "Addresses": "dynamic",
    "_ResourceId": "string",
}
START = ticks_of("2026-03-01T12:00:00Z")


def _series(name: str, *, minutes: int, size: int, count: int = 60) -> Series:
    fields = {
        "Computer": name,
        "Size": size,
        "Addresses": f'["10.0.0.{size}"]',
        "_ResourceId": f"/machines/{name.lower()}",
    }
    return Series(fields, START - minutes * STEP, count)


HEARTBEATS = Relation(
    COLUMNS,
    series=(
        _series("alpha", minutes=0, size=3),
        _series("Beta", minutes=5, size=1),
        _series("gamma-2", minutes=180, size=2, count=10),
    ),
)
PLAIN = Relation(COLUMNS, plain=HEARTBEATS.rows)
"""The same rows, one by one: whatever is computed from series must come out of them too."""


def _run(query: str, relation: Relation = HEARTBEATS) -> list[Row]:
    return list(run_query(query, {"Heartbeat": relation}, START).rows())


def _column(query: str, name: str = "Computer") -> list[Any]:
    return [row[name] for row in _run(query)]


# -- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "computers"),
    [
        ("Computer == 'alpha'", {"alpha"}),
        ("Computer == 'beta'", set()),
        ("Computer =~ 'beta'", {"Beta"}),
        ("Computer !~ 'beta'", {"alpha", "gamma-2"}),
        ("Computer != 'alpha'", {"Beta", "gamma-2"}),
        ("Computer in ('alpha', 'beta')", {"alpha"}),
        ('_ResourceId in~ ("/machines/ALPHA", "/machines/BETA", "/nowhere")', {"alpha", "Beta"}),
        ("Computer !in ('alpha')", {"Beta", "gamma-2"}),
        ("Computer !in~ ('ALPHA', 'BETA')", {"gamma-2"}),
        ("Computer contains 'ET'", {"Beta"}),
        ("Computer !contains 'ET'", {"alpha", "gamma-2"}),
        ("Computer startswith 'GAM'", {"gamma-2"}),
        ("Computer endswith '2'", {"gamma-2"}),
        ("Computer has 'gamma'", {"gamma-2"}),
        ("Computer has 'gam'", set()),
        ("Addresses contains '10.0.0.3'", {"alpha"}),
        ("tolower(Computer) == 'beta'", {"Beta"}),
        ("Size > 1 and Size <= 3", {"alpha", "gamma-2"}),
        ("Size + 1 == 2", {"Beta"}),
        ("Computer == 'alpha' or Computer == 'Beta' and Size == 2", {"alpha"}),
        ("(Computer == 'alpha' or Computer == 'Beta') and Size == 1", {"Beta"}),
        ("not(Computer == 'alpha')", {"Beta", "gamma-2"}),
        ("isempty(Computer) or isnotempty(Computer)", {"alpha", "Beta", "gamma-2"}),
        ("TimeGenerated > datetime(2026-03-01T11:57:00Z)", {"alpha"}),
        ("TimeGenerated >= datetime(2026-03-01 11:55)", {"alpha", "Beta"}),
        ("TimeGenerated < datetime(2026-03-01 10:00)", {"gamma-2"}),
        ("TimeGenerated - datetime(2026-03-01 11:00) > 56m", {"alpha"}),
        ("TimeGenerated != datetime(2026-03-01 12:00) and Computer == 'alpha'", {"alpha"}),
        ("TimeGenerated > ago(1d)", {"alpha", "Beta", "gamma-2"}),
        ("TimeGenerated > ago(5m)", {"alpha"}),
        ("TimeGenerated >= now() - 5m", {"alpha", "Beta"}),
        ("Computer == @'alpha'", {"alpha"}),
        ('Computer == "al\\u0070ha"', None),
        ("Computer == 'alpha' // a remark | take 0", {"alpha"}),
    ],
)
def test_where(condition: str, computers: set[str] | None) -> None:
    """Conditions mean what they mean in Kusto, on series and on single rows alike; None where they are refused."""
    for relation in (HEARTBEATS, PLAIN):
        if computers is None:
            with pytest.raises(QueryRefusedError):
                _run(f"Heartbeat | where {condition}", relation)
        else:
            found = _run(f"Heartbeat | where {condition} | distinct Computer", relation)
            assert {row["Computer"] for row in found} == computers


@pytest.mark.parametrize("relation", [HEARTBEATS, PLAIN], ids=["series", "rows"])
def test_the_last_row_of_each(relation: Relation) -> None:
    """arg_max takes the columns from the newest row; the columns of the groups come first."""
    query = "Heartbeat | summarize arg_max(TimeGenerated, Computer, Size) by _ResourceId"
    rows = _run(query, relation)
    assert list(rows[0]) == ["_ResourceId", "TimeGenerated", "Computer", "Size"]
    assert [(row["Computer"], row["TimeGenerated"]) for row in rows] == [
        ("alpha", START),
        ("Beta", START - 5 * STEP),
        ("gamma-2", START - 180 * STEP),
    ]


@pytest.mark.parametrize("relation", [HEARTBEATS, PLAIN], ids=["series", "rows"])
def test_aggregates(relation: Relation) -> None:
    """Counts, extremes and different values are those of all rows, and are called as in Kusto."""
    query = (
        "Heartbeat | summarize count(), Last = max(TimeGenerated), min(TimeGenerated), dcount(Computer),"
        " Times = dcount(TimeGenerated), max(Size)"
    )
    assert _run(query, relation) == [
        {
            "count_": 130,
            "Last": START,
            "min_TimeGenerated": START - 189 * STEP,
            "dcount_Computer": 3,
            "Times": 75,
            "max_Size": 3,
        }
    ]
    assert _run("Heartbeat | summarize by TimeGenerated | count", relation) == [{"Count": 75}]
    assert _run("Heartbeat | count", relation) == [{"Count": 130}]


def test_a_star_stands_for_the_other_columns() -> None:
    """arg_max(…, *) has every column once, without those of the groups twice."""
    (row, *_) = _run("Heartbeat | summarize arg_min(TimeGenerated, *) by Name = Computer")
    assert list(row) == ["Name", "TimeGenerated", "Size", "Addresses", "_ResourceId"]
    assert row["TimeGenerated"] == START - 59 * STEP


def test_nothing_is_summarized_to_nothing() -> None:
    """Without groups there is one row, of zero and null; with groups there is none."""
    nothing = "Heartbeat | where Size > 5 | summarize count(), max(Size), arg_max(TimeGenerated, Computer)"
    assert _run(nothing) == [{"count_": 0, "max_Size": None, "TimeGenerated": None, "Computer": None}]
    assert not _run(f"{nothing} by _ResourceId")


def test_projecting_and_sorting() -> None:
    """Columns are renamed; rows are sorted downwards unless told otherwise, and cut off."""
    rows = _run("Heartbeat | project When = TimeGenerated, Computer | top 2 by When")
    assert [list(row) for row in rows] == [["When", "Computer"]] * 2
    assert [row["When"] for row in rows] == [START, START - STEP]
    latest = "Heartbeat | summarize max(Size) by Computer | order by"
    assert _column(f"{latest} max_Size") == ["alpha", "gamma-2", "Beta"]
    assert _column(f"{latest} max_Size asc") == ["Beta", "gamma-2", "alpha"]
    assert _column("Heartbeat | sort by Size asc, TimeGenerated desc | take 1") == ["Beta"]
    assert len(_run("Heartbeat | limit 7")) == 7
    assert _run("Heartbeat | top 1 by Size asc")[0]["Size"] == 1


@given(
    first=st.none() | st.integers(-70, 10),
    last=st.none() | st.integers(-70, 10),
    shift=st.integers(-1, 1),
    count=st.integers(1, 60),
)
def test_the_part_of_a_series_is_that_of_its_rows(
    first: int | None, last: int | None, shift: int, count: int
) -> None:
    """Cutting a series between two moments leaves the rows that lie between them, ends included."""
    series = Series({}, START, count)
    bounds = Bounds(
        None if first is None else START + first * STEP + shift,
        None if last is None else START + last * STEP - shift,
    )
    low, high = bounds.first, bounds.last
    wanted = [
        START - number * STEP
        for number in range(count)
        if (low is None or START - number * STEP >= low) and (high is None or START - number * STEP <= high)
    ]
    part = series.within(bounds)
    rows = Relation({}, series=(part,) if part is not None else ()).rows()
    assert [row["TimeGenerated"] for row in rows] == wanted


# -- what is refused -----------------------------------------------------------------------------

_UNREADABLE = [
    "",
    "   ",
    "|",
    "'Heartbeat'",
    "Heartbeat |",
    "Heartbeat | frobnicate Computer",
    "Heartbeat | extend a = 1",
    "Heartbeat | join Heartbeat on Computer",
    "Heartbeat | project-away Computer",
    "Heartbeat Heartbeat",
    "Heartbeat; Heartbeat",
    "let x = 1; Heartbeat",
    "Heartbeat | take",
    "Heartbeat | take ten",
    "Heartbeat | take -1",
    "Heartbeat | take 99999999999999999999",
    "Heartbeat | take " + "9" * 5000,
    "Heartbeat | top 1 by Size, Computer",
    "Heartbeat | where",
    "Heartbeat | where Computer",
    "Heartbeat | where Computer ==",
    "Heartbeat | where Computer = 'a'",
    "Heartbeat | where Computer == 'a",
    "Heartbeat | where Computer == 'a\\q'",
    "Heartbeat | where (Computer == 'a'",
    "Heartbeat | where Computer in ()",
    "Heartbeat | where Computer in ('a',)",
    "Heartbeat | where Computer in (Computer)",
    "Heartbeat | where TimeGenerated > ago(1d",
    "Heartbeat | where TimeGenerated > ago(" + "9" * 400 + "d)",
    "Heartbeat | where TimeGenerated > datetime(yesterday)",
    "Heartbeat | where TimeGenerated > datetime(99999-01-01)",
    "Heartbeat | where TimeGenerated > ago(1day)",
    "Heartbeat | where " + "(" * 5000 + "Size == 1" + ")" * 5000,
    "Heartbeat | where " + "not(" * 5000 + "Size == 1" + ")" * 5000,
    "Heartbeat | where Computer == " + "tolower(" * 5000 + "Computer" + ")" * 5000,
    "Heartbeat | summarize",
    "Heartbeat | summarize count",
    "Heartbeat | summarize arg_max(*) by Computer",
    "Heartbeat | summarize arg_max(TimeGenerated, *, Computer)",
    "Heartbeat | order Computer",
    "Heartbeat \x00",
    "Heartbeat | where Computer == 'a' \u2028",
    "Herzschlag\u00e4",
]

_MEANINGLESS = [
    ("heartbeat", "'heartbeat'"),
    ("Syslog | take 1", "'take' operator: Failed to resolve table or column expression named 'Syslog'"),
    ("Heartbeat()", "Unknown function: 'Heartbeat'"),
    (
        "Heartbeat | where computer == 'a'",
        "'where' operator: Failed to resolve column or scalar expression named 'computer'",
    ),
    ("Heartbeat | where strlen(Computer) == 1", "Unknown function: 'strlen'"),
    ("Heartbeat | where bin(Size, 1) == 1", "Unknown function: 'bin'"),
    ("Heartbeat | where Computer == 1", "string and long"),
    ("Heartbeat | where Computer > 'a'", "by '>'"),
    ("Heartbeat | where Size =~ 'a'", "'=~' is not defined for the type long"),
    ("Heartbeat | where Size in ('a')", "'in' is not defined for the type long"),
    ("Heartbeat | where TimeGenerated > 1d", "datetime and timespan"),
    ("Heartbeat | where TimeGenerated > ago(1)", "not a timespan but long"),
    ("Heartbeat | where TimeGenerated + TimeGenerated > now()", "'+' is not defined"),
    ("Heartbeat | project Nothing", "'project' operator: Failed to resolve"),
    ("Heartbeat | project strcat(Computer)", "Unknown function: 'strcat'"),
    ("Heartbeat | project Computer, Computer = Size", "'Computer' already exists"),
    ("Heartbeat | project Computer | where Size == 1", "'Size'"),
    ("Heartbeat | distinct Nothing", "'distinct' operator"),
    ("Heartbeat | order by Nothing", "'order' operator"),
    ("Heartbeat | count | project Computer", "'Computer'"),
    ("Heartbeat | summarize avg(Size)", "Unknown function: 'avg'"),
    ("Heartbeat | summarize count(Size)", "another number of arguments"),
    ("Heartbeat | summarize max()", "another number of arguments"),
    ("Heartbeat | summarize max(Size, Computer)", "another number of arguments"),
    ("Heartbeat | summarize max(Addresses)", "cannot be dynamic"),
    ("Heartbeat | summarize count(), count()", "'count_' already exists"),
    ("Heartbeat | summarize count() by bin(TimeGenerated, 1h)", "Unknown function: 'bin'"),
    ("Heartbeat | summarize arg_max(TimeGenerated, Computer) by Computer", "'Computer' already exists"),
    ("Heartbeat | summarize arg_max(TimeGenerated, Size, Size)", "a column is named twice"),
    ("Heartbeat | summarize Last = arg_max(TimeGenerated, Size)", "not supported"),
    ("Heartbeat | summarize max(Size) by Nothing", "'summarize' operator"),
]


@pytest.mark.parametrize("query", _UNREADABLE, ids=lambda query: repr(query[:50]))
def test_what_cannot_be_read_is_refused(query: str) -> None:
    """Whatever is not in the grammar is a syntax error at a place."""
    with pytest.raises(QueryRefusedError) as caught:
        _run(query)
    error = caught.value.error
    assert (error["code"], error["innererror"]["code"]) == ("SyntaxError", "SYN0002")
    assert f"[{error['innererror']['line']},{error['innererror']['pos']}]" in error["innererror"]["message"]


@pytest.mark.parametrize(("query", "said"), _MEANINGLESS, ids=lambda text: repr(text[:50]))
def test_what_means_nothing_is_refused(query: str, said: str) -> None:
    """Names that there are not and types that do not fit are semantic errors that say which."""
    with pytest.raises(QueryRefusedError) as caught:
        _run(query)
    assert caught.value.error["code"] == "SemanticError"
    assert said in str(caught.value)


def test_the_place_of_an_error() -> None:
    """Line and column are those of the word, as in the service's documented example."""
    with pytest.raises(QueryRefusedError) as caught:
        _run("Heartbeat\n// remark\n| where Computer == 'a'\n   frob")
    inner = caught.value.error["innererror"]
    assert (inner["line"], inner["pos"], inner["token"]) == (4, 3, "frob")


def test_errors_over_the_wire(logs: LogClient) -> None:
    """A refused query is 400 with the service's envelope: an error in an error in an error."""
    answered = logs.ask("Heartbeat | where Nothing == 'x'")
    error = answered.json["error"]
    assert (answered.status, error["code"]) == (400, "BadArgumentError")
    assert error["message"] == "The request had some invalid properties"
    assert error["innererror"]["innererror"]["code"] == "SEM0100"


_WORDS = (
    "Heartbeat | where summarize project take limit order by top count distinct arg_max max dcount ( ) , = == =~ in~"
    " !in and or not ago now 1d 5 'x' \"y\" Computer TimeGenerated _ResourceId * - + datetime(2026-01-01) asc"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(_WORDS.split()), max_size=14).map(" ".join) | st.text(max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    """No text makes the lab fail in any other way."""
    with contextlib.suppress(QueryRefusedError):
        assert len(_run(f"Heartbeat | {text}")) <= 130


def test_a_large_query_is_read_in_one_go() -> None:
    """Ten thousand ids in a query are no burden: each word is looked at once."""
    ids = ", ".join(f'"/machines/{number}"' for number in range(10_000))
    assert len(tokenize(ids)) == 20_000
    assert not _run(f"Heartbeat | where _ResourceId in~ ({ids})")


# -- limits --------------------------------------------------------------------------------------


def test_more_rows_than_the_service_sends() -> None:
    """Half a million rows are sent, with an error that says that there are more; too many to sort are given up."""
    with serving("fleet:vms=350") as logs:
        answered = logs.ask("Heartbeat | project Computer")
        document = answered.json
        assert answered.status == 200
        assert len(document["tables"][0]["rows"]) == 500_000
        assert document["error"]["code"] == "PartialError"
        assert "E_QUERY_RESULT_SET_TOO_LARGE" in document["error"]["details"][0]["innererror"]["message"]


def test_what_would_take_too_long_is_given_up() -> None:
    """Looking at each of millions of rows, or sorting a million, is not done."""
    large = Relation(COLUMNS, series=(_series("large", minutes=0, size=1, count=2_000_001),))
    with pytest.raises(TooLargeError):
        _run("Heartbeat | where TimeGenerated != now() | count", large)
    assert _run("Heartbeat | count", large) == [{"Count": 2_000_001}]
    many = Relation(COLUMNS, series=(_series("many", minutes=0, size=1, count=1_000_001),))
    with pytest.raises(TooLargeError):
        _run("Heartbeat | order by TimeGenerated", many)


def test_time_is_counted_as_kusto_does() -> None:
    """A tick is a hundred nanoseconds, and moments without an offset are UTC."""
    assert ticks_of("1970-01-01T00:00:01Z") == TICKS
    assert ticks_of("1970-01-01 02:00:00+02:00") == 0
    assert [token.value for token in tokenize("1d 2h 3m 4s 5ms 1.5h")][:-1] == [
        seconds * TICKS // 1000 for seconds in (86_400_000, 7_200_000, 180_000, 4_000, 5, 5_400_000)
    ]
