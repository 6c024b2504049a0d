"""What an option, the runner's own configuration and an address say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import VantagePoint
from pytest_ampls.resolver import Resolver, is_private, parse_option, resolve_all, system


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("hub=192.168.0.4", ["192.168.0.4:53"]),
        ("hub=192.168.0.4:5353", ["192.168.0.4:5353"]),
        ("hub = 192.168.0.4, 192.168.0.5:54", ["192.168.0.4:53", "192.168.0.5:54"]),
        ("hub=fd00::4", ["[fd00::4]:53"]),
        ("hub=[fd00::4]", ["[fd00::4]:53"]),
        ("hub=[fd00::4]:5353,10.0.0.4", ["[fd00::4]:5353", "10.0.0.4:53"]),
    ],
)
def test_options_that_are_read(text: str, servers: Sequence[str]) -> None:
    """Addresses of both families, with and without ports, one or several."""
    point = parse_option(text)
    assert point == VantagePoint(name="hub", servers=tuple(servers), origin="--ampls-resolver")
    assert repr(Resolver(point)) == f"<Resolver hub {' '.join(servers)}>"


@pytest.mark.parametrize("network", ["spoke1", "/subscriptions/s/resourceGroups/g/providers/p/t/spoke1"])
def test_a_computed_vantage_point_names_a_network(network: str) -> None:
    """By name or id; it has no servers, and nobody is asked there."""
    point = parse_option(f"there=computed:{network}")
    assert point == VantagePoint(name="there", servers=(), computed=network, origin="--ampls-resolver")
    assert resolve_all([point], ["api.monitor.azure.com"]) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hub=computed", "computed: is followed by the name or id of a virtual network"),
        ("hub=computed: ", "computed: is followed by the name or id of a virtual network"),
        ("192.168.0.4", "there is no '='"),
        ("", "there is no '='"),
        ("=192.168.0.4", "'' is not a name"),
        ("my hub=192.168.0.4", "'my hub' is not a name"),
        ("hub=", "'' is not an IP address"),
        ("hub=dns.example.net", "'dns.example.net' is not an IP address"),
        ("hub=192.168.0", "'192.168.0' is not an IP address"),
        ("hub=192.168.0.4,", "'' is not an IP address"),
        ("hub=192.168.0.4:", "'192.168.0.4:' has no port between 1 and 65535"),
        ("hub=192.168.0.4:dns", "has no port"),
        ("hub=192.168.0.4:65536", "has no port"),
        ("hub=192.168.0.4:0", "has no port"),
        ("hub=[fd00::4]5353", "has no port"),
    ],
)
def test_options_that_are_refused(text: str, problem: str) -> None:
    """The message quotes what was written and where, says what is wrong, and shows a right one."""
    with pytest.raises(ConfigurationError) as caught:
        parse_option(text, origin="AMPLS_RESOLVER")
    message = str(caught.value)
    assert message.startswith(f"AMPLS_RESOLVER={text}: ")
    assert problem in message
    assert message.endswith("as in AMPLS_RESOLVER=hub=192.168.0.4")


def test_the_runner_is_asked_as_it_is_set_up(tmp_path: Path) -> None:
    """The runner's servers come from its own configuration, in its order."""
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("nameserver 192.0.2.53\nsearch example.net\nnameserver 2001:db8::53\n")
    assert system(resolv_conf=str(configuration)) == VantagePoint(
        name="runner", servers=("192.0.2.53:53", "[2001:db8::53]:53"), origin=str(configuration)
    )


def test_a_runner_without_dns_is_told(tmp_path: Path) -> None:
    """A machine without any server gets a message with the way out."""
    with pytest.raises(ConfigurationError, match="--ampls-resolver=NAME=ADDRESS"):
        system(resolv_conf=str(tmp_path / "absent"))


def test_reading_an_option_does_not_import_dnspython() -> None:
    """A run that asks no server does not pay for the library that would."""
    code = (
        "import sys; from pytest_ampls import resolver; resolver.parse_option('hub=192.168.0.4');"
        "assert 'dns' not in sys.modules; resolver.resolve_all; assert 'dns' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.0.68", True),
        ("100.64.0.1", True),
        ("100.128.0.1", False),
        ("127.0.0.1", True),
        ("169.254.169.254", True),
        ("0.0.0.0", True),
        ("203.0.113.7", False),
        ("198.51.100.7", False),
        ("20.38.146.1", False),
        ("168.63.129.16", False),
        ("fd00::1", True),
        ("fe80::1", True),
        ("::1", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:20.0.0.1", False),
        ("2603:1030::1", False),
    ],
)
def test_private_addresses(address: str, private: bool) -> None:
    """Private is what has no meaning on the internet; documentation ranges stand for public ones."""
    assert is_private(address) is private


def test_an_address_that_is_none_is_an_error() -> None:
    """A text that is not an address is neither private nor public."""
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        is_private("api.monitor.azure.com")
