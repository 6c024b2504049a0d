"""Where documents are built: one resource group of an estate, in one region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_ampls.lab.store import Document, Estate, guid

__all__ = ["Site", "entity_tag", "system_data", "weak_entity_tag"]


@dataclass(frozen=True)
class Site:
    """An estate, the id of one of its resource groups, and the region things are built in."""

    estate: Estate
    group: str
    location: str

    def id(self, resource_type: str, *names: str) -> str:
        """Return the id of a resource here: one name for each part of the type."""
        namespace, *kinds = resource_type.split("/")
        path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True))
        return f"{self.group}/providers/{namespace}/{path}"

    def lower_group(self) -> str:
        """Return the group's id as several providers write it: ``resourcegroups``."""
        return self.group.replace("/resourceGroups/", "/resourcegroups/")

    def add(self, *documents: Document) -> None:
        """Add documents to the estate."""
        for document in documents:
            self.estate.add(document)


def entity_tag(resource_id: str) -> str:
    """Return an etag of the style that Cosmos-backed providers send, quotes included."""
    digits = guid("etag", resource_id.lower()).replace("-", "")
    return f'"{digits[:8]}-0000-0d00-0000-{digits[8:20]}"'


def weak_entity_tag(resource_id: str) -> str:
    """Return an etag of the network provider's style."""
    return f'W/"{guid("etag", resource_id.lower())}"'


def system_data(day: int = 1) -> dict[str, Any]:
    """Return who made a resource and when (seven fraction digits, as the wire has them)."""
    when = f"2026-03-{day:02d}T08:15:30.1234567Z"
    return {
        "createdBy": "platform@example.invalid",
        "createdByType": "User",
        "createdAt": when,
        "lastModifiedBy": "platform@example.invalid",
        "lastModifiedByType": "User",
        "lastModifiedAt": when,
    }
