"""Probing real sockets on loopback: what is agreed on, what is trusted, and what is said where nothing comes about."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model import GapKind
from pytest_ampls.model.handshake import Handshake
from pytest_ampls.probe import probe_all
from tests.probe.listening import TlsSide, deaf, listening

NAME = "api.monitor.azure.com"
ADDRESS = "10.9.8.7"
OLD = {"TLSv1": "refused", "TLSv1.1": "refused"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that the probe is told to trust."""
    return trustme.CA(organization_name="trusted here")


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate, as a file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def probe(place: str, bundle: str, *, name: str = NAME, timeout: float = 5.0) -> Handshake:
    """Probe one address that stands for a place on loopback."""
    (found,) = probe_all([(name, ADDRESS)], timeout=timeout, ca_bundle=bundle, address_map={ADDRESS: place})
    return found


def test_a_sound_endpoint(authority: trustme.CA, bundle: str) -> None:
    """Version, cipher, chain and every version alone are told of an endpoint that is as it should be."""
    with listening(TlsSide(authority, NAME)) as place:
        found = probe(place, bundle)
    assert (found.name, found.address, found.port, found.vantage_point) == (NAME, ADDRESS, 443, "runner")
    assert found.reached
    assert found.gap is None
    assert (found.version, found.trusted, found.distrust) == ("TLSv1.3", True, "")
    assert found.cipher.startswith("TLS_")
    assert found.versions == {**OLD, "TLSv1.2": "accepted", "TLSv1.3": "accepted"}
    assert found.chain[0].names == (NAME,)
    assert "trusted here" in found.chain[0].issuer
    assert len(found.chain[0].sha256) == 64
    assert found.chain[0].not_after > found.read_at > 0


def test_the_whole_chain_is_kept(authority: trustme.CA, bundle: str) -> None:
    """Intermediate certificates that the server sends are in the chain, the leaf first."""
    with listening(TlsSide(authority.create_child_ca(), NAME)) as place:
        chain = probe(place, bundle).chain
    assert len(chain) == 2
    assert chain[0].issuer == chain[1].subject
    assert "trusted here" in chain[1].issuer


def test_tls_1_0_only(authority: trustme.CA, bundle: str) -> None:
    """An endpoint that only speaks TLS 1.0 is still looked at, and its chain verified."""
    side = TlsSide(authority, NAME, oldest=ssl.TLSVersion.TLSv1, newest=ssl.TLSVersion.TLSv1)
    with listening(side) as place:
        found = probe(place, bundle)
    assert (found.version, found.trusted) == ("TLSv1", True)
    assert found.versions == {
        "TLSv1": "accepted",
        "TLSv1.1": "refused",
        "TLSv1.2": "refused",
        "TLSv1.3": "refused",
    }


def test_old_versions_beside_new_ones(authority: trustme.CA, bundle: str) -> None:
    """That old versions are accepted is seen although a new one is agreed on."""
    with listening(TlsSide(authority, NAME, oldest=ssl.TLSVersion.TLSv1)) as place:
        found = probe(place, bundle)
    assert found.version == "TLSv1.3"
    assert set(found.versions.values()) == {"accepted"}


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3], ids=["old", "new"])
def test_signed_by_a_stranger(bundle: str, newest: ssl.TLSVersion) -> None:
    """A chain that leads to an unknown authority is not trusted, and is told."""
    stranger = trustme.CA(organization_name="TLS inspection")
    with listening(TlsSide(stranger, NAME, oldest=ssl.TLSVersion.TLSv1, newest=newest)) as place:
        found = probe(place, bundle)
    assert not found.trusted
    assert "issuer is not trusted" in found.distrust
    assert "TLS inspection" in found.chain[0].issuer
    assert found.gap is None


def test_for_another_name(authority: trustme.CA, bundle: str) -> None:
    """A certificate of a trusted authority for another name is not trusted."""
    with listening(TlsSide(authority, "other.example.com")) as place:
        found = probe(place, bundle)
    assert not found.trusted
    assert "for another name" in found.distrust
    assert found.chain[0].names == ("other.example.com",)


def test_expired(authority: trustme.CA, bundle: str) -> None:
    """A certificate that has expired is not trusted, and its end is told."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    side = TlsSide(authority, NAME, certificate=authority.issue_cert(NAME, not_after=past))
    with listening(side) as place:
        found = probe(place, bundle)
    assert "expired" in found.distrust
    assert found.chain[0].not_after == past.timestamp()


def _reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _say_goodbye(connection: socket.socket) -> None:
    """Close in the middle of the handshake as TLS closes: with the alert close_notify (RFC 8446 §6.1)."""
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x03\x00\x02\x01\x00")


def _hang_up(connection: socket.socket) -> None:
    connection.recv(4096)


def _plain_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _silence(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (_reset, GapKind.UNREACHABLE, "cut during the TLS handshake"),
        (_hang_up, GapKind.UNREACHABLE, "cut during the TLS handshake"),
        (_say_goodbye, GapKind.UNREACHABLE, "cut during the TLS handshake"),
        (_plain_http, GapKind.MALFORMED, "does not speak TLS"),
        (_silence, GapKind.UNREACHABLE, "no TLS handshake comes about within 0.3 s"),
    ],
    ids=["reset", "hang-up", "goodbye", "http", "silence"],
)
def test_no_handshake(
    answer: Callable[[socket.socket], None], kind: GapKind, words: str, bundle: str
) -> None:
    """Where TCP connects and TLS does not come about, the gap says which of the ways it was."""
    with listening(answer) as place:
        found = probe(place, bundle, timeout=0.3)
    assert found.reached
    assert not found.trusted
    assert not found.versions
    assert found.gap is not None
    assert found.gap.kind is kind
    assert words in found.gap.message
    assert f"{ADDRESS}:443, asked for {NAME}" in found.gap.message


def test_refused(bundle: str) -> None:
    """A port that refuses is told apart from one that is silent."""
    with deaf() as place:
        found = probe(place, bundle)
    assert not found.reached
    assert found.gap is not None
    assert found.gap.kind is GapKind.UNREACHABLE
    assert "refused" in found.gap.message


def test_dropped(bundle: str) -> None:
    """A port whose queue of connections is full drops the next: no answer in time."""
    with socket.socket() as server, ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # some are taken into the queue, the others wait like the probe will
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        found = probe(f"127.0.0.1:{server.getsockname()[1]}", bundle, timeout=0.3)
    assert not found.reached
    assert found.gap is not None
    assert found.gap.kind is GapKind.UNREACHABLE
    assert "no answer within 0.3 s" in found.gap.message


def test_ipv6(authority: trustme.CA, bundle: str) -> None:
    """An IPv6 address is connected to, and written in brackets where a port follows."""
    try:
        with listening(TlsSide(authority, NAME), "::1") as place, deaf() as closed:
            places = {"fd00::1": place, "fd00::2": closed}
            fine, bad = probe_all(
                [(NAME, "fd00::1"), (NAME, "fd00::2")], ca_bundle=bundle, address_map=places
            )
    except OSError:
        pytest.skip("there is no IPv6 loopback here")
    assert fine.trusted
    assert bad.gap is not None
    assert "[fd00::2]:443" in bad.gap.message


@pytest.mark.parametrize("address", ["not-an-address", "", "10.0.0.1:443", "\x1b[2J"])
def test_what_is_no_address_is_not_looked_up(address: str) -> None:
    """What a document has in place of an address is never handed to a resolver, and never printed raw."""
    (found,) = probe_all([(NAME, address)], address_map={})
    assert found.gap is not None
    assert found.gap.kind is GapKind.MALFORMED
    assert "\x1b" not in found.gap.message


@pytest.mark.parametrize("name", ["", ".", "a" * 70 + ".example", "a\0b", "*"])
def test_hostile_names(authority: trustme.CA, bundle: str, name: str) -> None:
    """A name that cannot be asked for is a gap of that name alone."""
    with listening(TlsSide(authority, NAME)) as place:
        strange, fine = probe_all(
            [(name, ADDRESS), (NAME, ADDRESS)], ca_bundle=bundle, address_map={ADDRESS: place}
        )
    assert strange.gap is not None or not strange.trusted
    assert fine.trusted


def test_a_map_keeps_everything_on_it() -> None:
    """With an address map, an address that it lacks is not connected to, and that is no verdict on it."""
    (found,) = probe_all([(NAME, ADDRESS)], address_map={})
    assert found.gap is not None
    assert found.gap.kind is GapKind.NOT_READ


def test_many_at_once(authority: trustme.CA, bundle: str) -> None:
    """Results come in the order of the targets, each pair once, with progress on the way."""
    targets = [(NAME, f"10.0.0.{n}") for n in range(20)]
    lines: list[str] = []
    with listening(TlsSide(authority, NAME)) as place, deaf() as closed:
        places = {address: closed if n % 5 == 0 else place for n, (_, address) in enumerate(targets)}
        found = probe_all(
            [*targets, *targets],
            concurrency=8,
            ca_bundle=bundle,
            address_map=places,
            on_progress=lines.append,
        )
    assert [(shake.name, shake.address) for shake in found] == targets
    assert [shake.trusted for shake in found] == [n % 5 != 0 for n in range(20)]
    assert lines[-1] == "probes: 20 of 20 addresses connected to"


def test_nothing_to_probe() -> None:
    """Without targets there is nothing to tell."""
    assert probe_all([]) == ()


def test_a_bundle_that_is_none(tmp_path: Path) -> None:
    """A CA bundle that cannot be read is the user's mistake, said at once."""
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"CA bundle .*ca\.pem cannot be read"):
        probe_all([(NAME, ADDRESS)], ca_bundle=str(bad), address_map={})
