"""A vantage point together with what it answered."""

from __future__ import annotations

import msgspec

from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Answer, VantagePoint
from pytest_ampls.model.network import VirtualNetwork

__all__ = ["Resolver"]


class Resolver(msgspec.Struct, frozen=True, eq=False):
    """A place that DNS was asked from, in an estate. Nothing is asked here: its answers are evidence.

    ``vantage_point`` is one of ``estate.vantage_points``.
    """

    estate: Estate
    vantage_point: VantagePoint

    @property
    def name(self) -> str:
        """The name that the vantage point was given."""
        return self.vantage_point.name

    @property
    def label(self) -> str:
        """The name again, under which resources have theirs."""
        return self.name

    @property
    def virtual_network(self) -> VirtualNetwork | None:
        """The VNet whose clients it speaks for, None where that is not known.

        Raises:
            EvidenceError: a VNet is named and was not read.
        """
        named = self.vantage_point.virtual_network
        return self.estate.get(VirtualNetwork, named) if named else None

    def resolve(self, fqdn: str) -> Answer:
        """Return what was answered for the IPv4 addresses of a name.

        Raises:
            EvidenceError: there was no usable answer, or the name was never asked here.
        """
        return self.estate.answer(self.vantage_point, fqdn)

    def __repr__(self) -> str:
        return f"<Resolver {self.name} {' '.join(self.vantage_point.servers)}>"
