"""Which way a row took, told by the address that the ingestion saw."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ampls.effective.sender import Sender, sender

_PRIVATE_PATH = int(IPv6Address("fd40::"))


@pytest.mark.parametrize(
    ("seen", "own"),
    [
        ("fd40:1085:12:6d79:7712:100:c0a8:4", "192.168.0.4"),
        ("fd40:1085:12:b979:7712:100:c0a8:104", "192.168.1.4"),
        ("fd40:1085:12:b879:7712:100:c0a8:204", "192.168.2.4"),
        ("fd40:1085:12:c879:7712:100:c0a8:304", "192.168.3.4"),
        ("fd40:1085:12:6c07:7412:100:c0a8:404", "192.168.4.4"),
    ],
)
def test_the_published_addresses_are_private(seen: str, own: str) -> None:
    """The five machines of the published lab, each by its own address and by no other's."""
    assert sender(seen, [own]) is Sender.PRIVATE
    assert sender(seen, ["192.168.9.9"]) is Sender.UNKNOWN
    assert sender(seen, []) is Sender.UNKNOWN


@given(st.ip_addresses(v=4), st.integers(0, 2**80 - 1))
def test_any_address_in_the_last_bits_is_found(own: IPv4Address, middle: int) -> None:
    """What stands between the prefix and the address does not matter; the address does."""
    seen = IPv6Address(_PRIVATE_PATH | middle << 32 | int(own))
    other = IPv4Address(int(own) ^ 1)
    assert sender(str(seen), ["nonsense", str(own)]) is Sender.PRIVATE
    assert sender(str(seen), [str(other)]) is Sender.UNKNOWN


@given(st.ip_addresses(v=6))
def test_other_prefixes_are_unknown(seen: IPv6Address) -> None:
    """An address outside of fd40::/16 tells nothing, whatever it ends in."""
    own = str(IPv4Address(int(seen) & 0xFFFFFFFF))
    outside = int(seen) >> 112 != 0xFD40
    assert (sender(str(seen), [own]) is Sender.UNKNOWN) is outside


@pytest.mark.parametrize(
    ("seen", "way"),
    [
        ("52.143.0.42", Sender.PUBLIC),
        ("203.0.113.10", Sender.PUBLIC),
        ("10.0.0.4", Sender.UNKNOWN),
        ("100.64.0.1", Sender.UNKNOWN),
        ("127.0.0.1", Sender.UNKNOWN),
        ("", Sender.UNKNOWN),
    ],
)
def test_only_a_public_ipv4_address_is_public(seen: str, way: Sender) -> None:
    """A private IPv4 address is no known pattern."""
    assert sender(seen, ["10.0.0.4"]) is way
