"""The DNS servers of the world: settings of unbound and dnsmasq that give what the documents say."""

from __future__ import annotations

from pathlib import Path

from tests.dns.servers import DNSMASQ
from tests.world.documents import PLATFORM, Estate

__all__ = ["forwarder", "resolver"]

PUBLIC_ADDRESS = "203.0.113.{}"
"""Documentation addresses (RFC 5737): nothing in the world has them."""

_HEAD = ("@ 10 IN SOA ns.invalid. h.invalid. 1 60 60 60 10", "@ 10 IN NS ns.invalid.")
_SERVER = (
    'chroot: ""',
    'username: ""',
    'pidfile: ""',
    "do-daemonize: no",
    "use-syslog: no",
    "verbosity: 0",
    "access-control: 0.0.0.0/0 allow",
    "interface-automatic: no",
    "do-ip6: no",
    "num-threads: 1",
    "outgoing-range: 64",
    "num-queries-per-thread: 32",
    "msg-cache-size: 256k",
    "rrset-cache-size: 256k",
    'module-config: "iterator"',
    "cache-max-ttl: 0",  # a zone that was changed is seen at once
    "cache-max-negative-ttl: 0",
    "qname-minimisation: no",
    "harden-below-nxdomain: no",
)


def resolver(folder: Path, estate: Estate, network: str, address: str = PLATFORM) -> Path:
    """Write the settings of the platform's resolver as it answers in one network; returns the file.

    It has the zones that are linked to the network, and the public DNS for everything else: there, every name that
    a private endpoint serves is an alias of its privatelink name, and that one of somebody's front end. In a
    network of no name it is a public resolver.
    """
    folder.mkdir(exist_ok=True)
    linked = [zone for zone in estate.zones if network in zone.networks]
    zones = {".": _public(estate, tuple(zone.name for zone in linked))}
    for zone in linked:
        zones[zone.name] = [
            f"{name}. 10 IN A {address}" for name, found in zone.records.items() for address in found
        ]
    lines = ["server:", *_SERVER, f"interface: {address}", f'directory: "{folder}"']
    lines += ["remote-control:", "control-enable: no"]
    for number, (name, records) in enumerate(zones.items()):
        file = folder / f"zone{number}"
        origin = name if name == "." else f"{name}."
        file.write_text("\n".join([f"$ORIGIN {origin}", *_HEAD, *records]) + "\n")
        # Not for-downstream: an alias that leaves a zone is followed, as the platform's resolver does.
        lines += ["auth-zone:", f'name: "{name}"', "for-downstream: no", "for-upstream: yes"]
        lines += ["fallback-enabled: no", f'zonefile: "{file}"']
    settings = folder / "unbound.conf"
    settings.write_text("\n".join(lines) + "\n")
    return settings


def _public(estate: Estate, linked: tuple[str, ...]) -> list[str]:
    """Return the public DNS. Zones that are linked are cut out of it: else unbound never looks into them."""
    lines = [f"{zone}. 10 IN NS ns.invalid." for zone in linked]
    for number, name in enumerate(estate.private_names, start=1):
        private, front = estate.private_zone(name), f"front{number}.trafficmanager.net"
        lines.append(f"{name}. 10 IN CNAME {private}.")
        lines.append(f"{front}. 10 IN A {PUBLIC_ADDRESS.format(number)}")
        if not private.endswith(tuple(f".{zone}" for zone in linked)):
            lines.append(f"{private}. 10 IN CNAME {front}.")
    return lines


def forwarder(address: str, upstream: str = PLATFORM) -> list[str]:
    """Return the command line of the DNS server that somebody runs on a machine."""
    return [
        *DNSMASQ,
        "--user=root",
        "--bind-interfaces",
        f"--listen-address={address}",
        f"--server={upstream}",
    ]
