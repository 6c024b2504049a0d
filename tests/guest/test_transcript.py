"""What guests send, hostile bytes included: lines of known parts, or problems, and never an exception."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ampls.errors import DocumentError, NotReadError
from pytest_ampls.guest.script import PARTS, Request
from pytest_ampls.guest.state import state_of
from pytest_ampls.guest.transcript import MOST_BYTES, Transcript, merged, transcript
from pytest_ampls.model.guest_questions import GuestQuestions
from pytest_ampls.model.guest_state import GuestState

NONCE = "5eed0001"
MACHINE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm1"
REQUEST = Request(
    nonce=NONCE,
    questions=GuestQuestions(names=("a.example.org", "b.example.org"), identities=("client_id#1", "")),
)
WHOLE = {
    "system": ["1772355600 Linux x86_64 0"],
    "services": ["azuremonitoragent active"],
    "started": ["1772348400"],
    "mode": ["mcs"],
    "tokens": ["0 200 - -", "1 400 invalid_request Identity%20not%20found"],
    "dns_servers": ["192.168.0.4"],
    "lookups": ["0 192.168.0.78 -", "1 not-found 10.0.0.9,10.0.0.8"],
    "handshakes": [
        "0 192.168.0.78 tls TLSv1.3 TLS_AES_256_GCM_SHA384 ok CN=CA CN=a.example.org",
        "0 192.168.0.79 no Connection%20refused",
        "0 192.168.0.80 tcp no%20answer%20in%20time",
    ],
    "health": ["0 Healthy (HTTP 200)"],
    "chunks": ["1.json 1772348400 dcr-1 ods,gig #0,x.ods.opinsights.azure.com"],
    "disks": ["/var/opt/microsoft/azuremonitoragent 1000"],
    "log": ["2026-03-01T08:20:00 Failed to upload to ODS: 403 %1B[2J", "- odd"],
}


def spoken(parts: dict[str, list[str]] = WHOLE, nonce: str = NONCE) -> bytes:
    """Return what the script would print."""
    lines = ["begin 1"]
    for name, told in parts.items():
        lines += [f"[ {name}", *(f". {line}" for line in told), f"] {name} {len(told)}"]
    return "".join(f"{nonce} {line}\n" for line in [*lines, "end"]).encode()


def state(output: bytes) -> GuestState:
    """Return the state that an output amounts to."""
    told = transcript(output, NONCE)
    return state_of(MACHINE, "ssh", told, REQUEST, system="Linux", read_at=1.0, where="ssh to vm1")


def test_a_whole_answer() -> None:
    """Every part becomes a field."""
    found = state(spoken())
    assert found.gap is None
    assert found.problems == {}
    assert found.clock == 1772355600
    assert found.services == {"azuremonitoragent": "active"}
    assert found.tokens is not None
    assert [attempt.status for attempt in found.tokens] == [200, 400]
    assert found.tokens[1].description == "Identity not found"
    assert found.lookups is not None
    assert found.lookups[1].in_hosts_file == ("10.0.0.9", "10.0.0.8")
    assert found.lookups[1].addresses == ()
    assert found.handshakes is not None
    assert [(shake.reached, shake.trusted) for shake in found.handshakes] == [
        (True, True),
        (False, False),
        (True, False),
    ]
    assert found.handshakes[0].vantage_point == "guest vm1"
    assert found.chunks is not None
    assert found.chunks[0].endpoints == ("a.example.org", "x.ods.opinsights.azure.com")
    assert found.log is not None
    assert found.log[0].seconds == 1772353200
    assert found.log[1].seconds == 0


@pytest.mark.parametrize(
    "line",
    [
        "GET https://x?sv=1&sig=c2VjcmV0&se=2",
        "Authorization: Bearer c2VjcmV0",
        "token eyJhbGciOiJub25lIn0.eyJzIjoiYzJWamNtVjAifQ.c2VjcmV0 refused",
        "AccountKey=c2VjcmV0;x",
    ],
)
def test_secrets_in_a_log_are_not_kept(line: str) -> None:
    """What looks like a token or a signature is taken out."""
    found = state(spoken({**WHOLE, "log": [f"- {line}"]}))
    assert found.log is not None
    assert "c2VjcmV0" not in found.log[0].line
    assert "[removed]" in found.log[0].line


def test_every_part_is_parsed() -> None:
    """Nothing that the script tells is left on the way."""
    assert set(WHOLE) == set(PARTS)


def test_noise_around_the_answer_does_not_matter() -> None:
    """Banners, messages of the day, and lines of another nonce are not ours."""
    noise = b"Welcome!\r\n\x1b[1mmotd\x1b[0m\ndeadbeef [ tokens\ndeadbeef . 0 500 - -\n"
    assert state(noise + spoken() + b"logout\n") == state(spoken())
    assert state(spoken().replace(b"\n", b"\r\n")) == state(spoken())
    assert transcript(noise + spoken(), NONCE).noise == 4


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.2])
def test_an_answer_that_was_cut_at_its_end(kept: float) -> None:
    """Parts that arrived whole count; the others are problems, and not empty."""
    whole = spoken()
    found = state(whole[: int(len(whole) * kept)])
    assert found.log is None
    assert "cut" in found.problems["log"]
    with pytest.raises(NotReadError, match="did not tell its log"):
        found.told(found.log, "log")


def test_an_answer_of_which_only_the_end_is_left() -> None:
    """Run Command keeps the last 4,096 bytes: what stood before is unknown, what is whole counts."""
    found = state(spoken()[-300:])
    assert found.log is not None
    assert found.services is None
    assert "cut" in found.problems["services"]


def test_a_line_that_was_lost_is_noticed() -> None:
    """A part with fewer lines than it says is not whole."""
    found = state(spoken().replace(b"5eed0001 . 0 200 - -\n", b""))
    assert found.tokens is None
    assert found.problems["tokens"] == "the output was cut inside of it"


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("services", "x;touch%20owned active"),
        ("services", "$(touch) active"),
        ("disks", "/var%0a;touch 1"),
        ("disks", "C:'`x 1"),
        ("tokens", "7 200 - -"),
        ("tokens", "0 200"),
        ("lookups", "9 192.168.0.1 -"),
        ("lookups", "0 999.1.1.1 -"),
        ("handshakes", "0 <script> tls a b c d e"),
        ("handshakes", "0 10.0.0.1 perhaps x"),
        ("mode", "both"),
        ("started", "yesterday"),
        ("started", "inf"),
        ("system", "now"),
        ("system", "nan Linux x86_64 0"),
        ("system", "1e999 Linux x86_64 0"),
        ("disks", "/ much"),
        ("chunks", "a b c"),
        ("chunks", "1.json nan dcr-1 - -"),
    ],
)
def test_lines_that_do_not_fit_spoil_their_part_only(part: str, line: str) -> None:
    """The part is a problem, the others are there."""
    found = state(spoken({**WHOLE, part: [line]}))
    assert found.problems == {part: "the guest sent something for it that cannot be understood"}


def test_the_problems_of_a_guest_are_printable() -> None:
    """A reason is the guest's text: escapes are spelt out, and it is not endless."""
    reason = "%1B]0;owned%07" + "x" * 5000
    found = state(f"{NONCE} begin 1\n{NONCE} ! tokens {reason}\n{NONCE} end\n".encode())
    assert found.problems["tokens"].startswith(r"\x1b]0;owned\x07x")
    assert len(found.problems["tokens"]) <= 300


def test_something_else_entirely_is_a_gap() -> None:
    """Output without one line of ours says that there is something else, and what to do."""
    found = state(b"<html>login</html>\n" * 3)
    assert found.gap is not None
    assert "3 lines of something else" in found.gap.message
    with pytest.raises(DocumentError, match="did not answer as the script does"):
        found.told(found.services, "services")
    assert state(b"").gap is not None


def test_output_without_end_is_cut() -> None:
    """A flood is not kept."""
    flood = f"{NONCE} . x\n".encode() * (MOST_BYTES // 8)
    assert state(spoken() + flood) == state(spoken())


def test_calls_that_go_on_are_put_together() -> None:
    """A part that was told in two calls counts as one, if no line is missing."""
    first = transcript(
        f"{NONCE} begin 1\n{NONCE} [ log\n{NONCE} . - a\n{NONCE} > log 1\n{NONCE} end\n".encode(), NONCE
    )
    second = transcript(
        b"5eed0002 begin 1\n5eed0002 [ log\n5eed0002 . - b\n5eed0002 ] log 2\n5eed0002 end\n", "5eed0002"
    )
    assert first.resume == ("log", 1)
    assert merged(first, second).part("log") == ("- a", "- b")
    assert merged(first, Transcript(begun=True, ended=True)).part("log") is None


@given(st.binary(max_size=400), st.integers(0, 2000), st.integers(0, 2**32))
def test_any_bytes_are_survived(piece: bytes, at: int, seed: int) -> None:
    """Whatever is put into an answer, or replaces lines of it: a state comes out, and it is printable."""
    whole = spoken()
    lines = (whole[:at] + piece + whole[at:]).split(b"\n")
    random.Random(seed).shuffle(lines)
    for output in (whole[:at] + piece + whole[at:], b"\n".join(lines)):
        found = state(output)
        texts = [*found.problems.values(), found.gap.message if found.gap else ""]
        assert all(text.isprintable() for text in texts)


@given(
    st.dictionaries(
        st.sampled_from(PARTS), st.lists(st.text(st.characters(max_codepoint=126, min_codepoint=32)))
    )
)
def test_any_lines_of_parts_are_survived(parts: dict[str, list[str]]) -> None:
    """Lines of ours with anything in them end in a field or a problem, for every part."""
    found = state(spoken(parts))
    if found.gap is None:
        told = {name for name in PARTS if getattr(found, "clock" if name == "system" else name) is not None}
        assert told | set(found.problems) == set(PARTS)
