"""What exists in an estate: subscriptions and ARM documents, found without regard to case.

The documents are kept as Azure sends them with the newest api-version of their type; older
versions are derived from them when they are served (:mod:`pytest_ampls.lab.wire_forms`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from pytest_ampls.lab.ids import parent_of, subscription_of, type_of

__all__ = ["TENANT_ID", "Document", "Estate", "Index", "guid"]

Document = dict[str, Any]


def guid(*parts: str) -> str:
    """Return a GUID that is always the same for the same parts: estates are reproducible."""
    digits = hashlib.sha1("/".join(("ampls-lab", *parts)).encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


TENANT_ID: Final = guid("tenant")


class Estate:
    """A changeable set of ARM documents; faults change it before it is served.

    ``subscriptions`` maps the subscription's GUID to its display name, ``groups`` the
    lower-cased id of a resource group to its document, ``power`` the lower-cased id of a VM to its
    power state where that is not ``running``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.subscriptions: dict[str, str] = {}
        self.groups: dict[str, Document] = {}
        self.power: dict[str, str] = {}
        self._documents: dict[str, Document] = {}

    def __repr__(self) -> str:
        return f"<Estate {self.name!r}: {len(self._documents)} documents>"

    def add_subscription(self, subscription: str, name: str) -> str:
        """Add a subscription and return its GUID."""
        self.subscriptions[subscription] = name
        return subscription

    def add_group(self, subscription: str, name: str, location: str) -> str:
        """Add a resource group and return its id."""
        group_id = f"/subscriptions/{subscription}/resourceGroups/{name}"
        self.groups[group_id.lower()] = {
            "id": group_id,
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "properties": {"provisioningState": "Succeeded"},
        }
        return group_id

    def add(self, document: Document) -> Document:
        """Add a document (its ``id`` is the key) and return it.

        Raises:
            KeyError: there is one of that id.
        """
        key = document["id"].lower()
        if key in self._documents:
            raise KeyError(f"the estate has two documents of the id {document['id']}")
        self._documents[key] = document
        return document

    def remove(self, resource_id: str) -> Document:
        """Take a document out and return it; KeyError when there is none."""
        return self._documents.pop(resource_id.lower())

    def get(self, resource_id: str) -> Document:
        """Return the document of an id; KeyError when there is none."""
        return self._documents[resource_id.lower()]

    def find(self, resource_id: str) -> Document | None:
        """Return the document of an id, or None."""
        return self._documents.get(resource_id.lower())

    def of_type(self, resource_type: str) -> list[Document]:
        """Return all documents of a type, in the order they were added."""
        wanted = resource_type.lower()
        return [document for key, document in self._documents.items() if type_of(key) == wanted]

    def children(self, parent_id: str, resource_type: str) -> list[Document]:
        """Return the documents of a type whose parent (or extended resource) is ``parent_id``."""
        parent = parent_id.lower()
        return [document for document in self.of_type(resource_type) if parent_of(document["id"]) == parent]

    def items(self) -> Iterator[tuple[str, Document]]:
        """Iterate over (lower-cased id, document)."""
        return iter(self._documents.items())

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents.values())

    def __len__(self) -> int:
        return len(self._documents)


class Index:
    """A finished estate, indexed for serving: by id, by type, by parent."""

    def __init__(self, estate: Estate) -> None:
        self.subscriptions = {key.lower(): (key, name) for key, name in estate.subscriptions.items()}
        self.groups = dict(estate.groups)
        self.power = dict(estate.power)
        self.by_id: dict[str, Document] = {}
        self.by_type: dict[str, list[Document]] = {}
        self._by_parent: dict[tuple[str, str], list[Document]] = {}
        self._by_subscription: dict[tuple[str, str], list[Document]] = {}
        for key, document in estate.items():
            kind, parent = type_of(key), parent_of(key)
            self.by_id[key] = document
            self.by_type.setdefault(kind, []).append(document)
            self._by_parent.setdefault((parent, kind), []).append(document)
            self._by_subscription.setdefault((subscription_of(key), kind), []).append(document)

    def children(self, parent_id: str, resource_type: str) -> list[Document]:
        """Return the documents of a lower-cased type below a lower-cased id."""
        return self._by_parent.get((parent_id, resource_type), [])

    def in_scope(self, resource_type: str, subscription: str, group: str = "") -> list[Document]:
        """Return the documents of a lower-cased type in a subscription, or in a group of it."""
        if group:
            return self.children(f"/subscriptions/{subscription}/resourcegroups/{group}", resource_type)
        return self._by_subscription.get((subscription, resource_type), [])
