"""The wires of the world: bridges, peerings and addresses. No route leads out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.world.documents import PLATFORM, Estate, Network
from tests.world.nodes import Node

__all__ = ["IMDS", "PUBLIC_RESOLVER", "Wires"]

IMDS: Final = "169.254.169.254"
PUBLIC_RESOLVER: Final = "198.51.100.53"
"""A DNS server that knows no private zone, at a documentation address (RFC 5737); only the hub reaches it."""


class Wires:
    """Connects machines inside ``outer``; ``networks`` are the routers of the VNets, by name."""

    def __init__(self, outer: Node, networks: Mapping[str, Node]) -> None:
        self._outer = outer
        self._networks = networks
        self._count = 0

    def _cable(self, one: Node, name: str, other: Node, other_name: str) -> None:
        self._outer.ip(
            f"link add {name} netns {one.pid} type veth peer name {other_name} netns {other.pid}",
        )

    def networks(self, estate: Estate) -> None:
        """Give every VNet its bridge and the platform's address, and connect those that are peered."""
        for network in estate.networks.values():
            router = self._networks[network.name]
            router.ip(
                "link add bridge type bridge",
                "link set bridge up",
                f"addr add {network.address(1)}/24 dev bridge",
                f"addr add {PLATFORM}/32 dev lo",
            )
            router.forward()
        pairs = {frozenset({each.name, peer}) for each in estate.networks.values() for peer in each.peers}
        for one, other in sorted(sorted(pair) for pair in pairs):
            self._peer(estate.networks[one], estate.networks[other])

    def _peer(self, one: Network, other: Network) -> None:
        """Connect two networks, and them only: routes are not handed on."""
        self._count += 1
        name = f"peer{self._count}"
        routers = self._networks[one.name], self._networks[other.name]
        self._cable(routers[0], name, routers[1], name)
        ends = f"100.64.{self._count}.1", f"100.64.{self._count}.2"
        for number, (router, remote) in enumerate(zip(routers, (other, one), strict=True)):
            router.ip(
                f"addr add {ends[number]}/30 dev {name}",
                f"link set {name} up",
                f"route add {remote.prefix} via {ends[1 - number]}",
            )

    def attach(self, node: Node, network: Network, *addresses: str) -> None:
        """Plug a machine into its network's bridge; it has routes to what is in the world, and no other."""
        self._count += 1
        port = f"port{self._count}"
        router = self._networks[network.name]
        self._cable(router, port, node, "eth0")
        router.ip(f"link set {port} master bridge", f"link set {port} up")
        node.ip(
            *(f"addr add {address}/24 dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add 192.168.0.0/16 via {network.address(1)}",
            f"route add {PLATFORM}/32 via {network.address(1)}",
        )
