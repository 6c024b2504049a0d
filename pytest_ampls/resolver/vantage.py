"""Where DNS is asked from, and what an address says about where it leads."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import VantagePoint

__all__ = ["Server", "is_private", "normal_name", "parse_option", "parse_server", "system"]

_PORT: Final = 53
_COMPUTED: Final = "computed"
_GUEST: Final = "guest"

# RFC 1122 §3.2.1.3, RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291. Not ipaddress.is_private: that
# includes the documentation ranges, which stand for public addresses in examples and in the lab.
_PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
)


class Server(NamedTuple):
    """One DNS server: an IPv4 or IPv6 address, and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        """Return ``address:port``, an IPv6 address in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def parse_option(text: str, *, origin: str = "--ampls-resolver") -> VantagePoint:
    """Return the vantage point that ``NAME=ADDRESS[:PORT][,ADDRESS[:PORT]…]`` describes.

    ``NAME=computed:VNET`` describes one where nobody is asked: what the configuration of a VNet, given by name
    or id, would answer. ``NAME=guest:VM`` is a machine's own resolution, seen where guests are looked at.

    An IPv6 address with a port stands in brackets: ``hub=[fd00::4]:5353``. The port is 53 unless
    given. ``origin`` says where the text was written, for messages and for the header line.

    Raises:
        ConfigurationError: the text is something else; the message quotes it and gives an example.
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals:
        raise _bad_option(text, origin, "there is no '=' between a name and an address")
    if not name or any(character.isspace() or character in ",:[]" for character in name):
        raise _bad_option(text, origin, f"{name!r} is not a name (one word, without , : [ ])")
    kind, colon, network = rest.strip().partition(":")
    if kind == _COMPUTED:
        if not colon or not network.strip():
            raise _bad_option(
                text, origin, f"{_COMPUTED}: is followed by the name or id of a virtual network"
            )
        return VantagePoint(name=name, servers=(), origin=origin, computed=network.strip())
    if kind == _GUEST:
        if not colon or not network.strip():
            raise _bad_option(text, origin, f"{_GUEST}: is followed by the name or id of a virtual machine")
        return VantagePoint(name=name, servers=(), origin=origin, guest=network.strip())
    try:
        servers = tuple(str(parse_server(part)) for part in rest.split(","))
    except ConfigurationError as problem:
        raise _bad_option(text, origin, str(problem)) from None
    return VantagePoint(name=name, servers=servers, origin=origin)


def system(*, resolv_conf: str = "/etc/resolv.conf") -> VantagePoint:
    """Return the vantage point ``runner``: the DNS servers that this machine itself is set up with.

    Read at the time of the call: from ``resolv_conf`` on Linux and macOS, from the registry on
    Windows. A hosts file is not part of it.

    Raises:
        ConfigurationError: the machine has no DNS server configured.
    """
    import dns.inet  # only here: options are read in every run, this only in those that ask the runner
    import dns.resolver

    try:
        configured = dns.resolver.Resolver(filename=resolv_conf)
    except dns.resolver.NoResolverConfiguration as problem:
        raise ConfigurationError(
            f"This machine has no DNS server configured ({resolv_conf}: {problem}). "
            "Name one with --ampls-resolver=NAME=ADDRESS"
        ) from problem
    ports = configured.nameserver_ports
    servers = tuple(
        str(Server(address, ports.get(address, configured.port)))
        for address in map(str, configured.nameservers)
        if dns.inet.is_address(address)  # DNS over HTTPS servers are URLs; we do not speak that
    )
    return VantagePoint(name="runner", servers=servers, origin=resolv_conf)


def is_private(address: str) -> bool:
    """Return whether an address has no meaning on the internet.

    True for RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193 (unique local), loopback, link-local
    and "this network" (a sinkhole's 0.0.0.0). The documentation ranges count as public.

    Raises:
        ValueError: the text is not an IPv4 or IPv6 address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in _PRIVATE if network.version == parsed.version)


def normal_name(name: str) -> str:
    """Return a DNS name as it is compared: lower case, without the final dot (RFC 4343)."""
    return name.strip().rstrip(".").lower()


def parse_server(text: str) -> Server:
    """Read ``ADDRESS[:PORT]`` or ``[ADDRESS]:PORT``; the address is never a name.

    Raises:
        ConfigurationError: it is not that.
    """
    text = text.strip()
    if text.startswith("["):
        address, _, tail = text[1:].partition("]")
        colon, port = tail[:1], tail[1:]
    elif text.count(":") == 1:
        address, colon, port = text.partition(":")
    else:
        address, colon, port = text, "", ""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ConfigurationError(f"{text!r} is not an IP address") from None
    if colon not in ("", ":") or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise ConfigurationError(f"{text!r} has no port between 1 and 65535 after the address")
    return Server(address, int(port) if port else _PORT)


def _bad_option(text: str, origin: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{origin}={text}: {problem}. Expected NAME=ADDRESS[:PORT] or NAME=computed:VNET or NAME=guest:VM, "
        f"as in {origin}=hub=192.168.0.4"
    )
