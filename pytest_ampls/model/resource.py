"""What every ARM resource has: an id that compares without regard to case, and an estate."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec

from pytest_ampls.errors import DocumentError

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

__all__ = ["Part", "Resource", "ResourceId", "covers", "key", "needed", "region", "same_id"]

_T = TypeVar("_T")


def key(resource_id: str) -> str:
    """Return the form of a resource id that two ids of one resource share.

    ARM answers with ids whose case differs from call to call, even inside one document.
    """
    return resource_id.strip().rstrip("/").lower()


def same_id(one: str | None, other: str | None) -> bool:
    """Tell whether two resource ids name the same resource; a missing id equals nothing."""
    return one is not None and other is not None and key(one) == key(other)


def region(location: str | None) -> str:
    """Return a location in the form that compares: ``West Europe`` and ``westeurope`` are one."""
    return (location or "").replace(" ", "").lower()


class ResourceId(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a resource id. ``type`` keeps the id's own spelling.

    ``parent`` is the id of the resource this one is a child or an extension of, or None for a
    top-level resource. ``subscription`` and ``resource_group`` are empty where the id has none.
    """

    subscription: str
    resource_group: str
    type: str
    name: str
    parent: str | None

    @classmethod
    @lru_cache(maxsize=4096)  # thousands of machines name the same few subnets and identities
    def parse(cls, resource_id: str) -> ResourceId:
        """Take a resource id apart.

        Raises:
            DocumentError: the text has not the form of a resource id.
        """
        parts = resource_id.strip().strip("/").split("/")
        folded = [part.lower() for part in parts]
        try:
            start = len(folded) - 1 - folded[::-1].index("providers")
            provider, *tail = parts[start + 1 :]
        except ValueError:
            raise DocumentError(f"{resource_id!r} is not the id of an Azure resource") from None
        if not tail or len(tail) % 2:
            raise DocumentError(f"{resource_id!r} is not the id of an Azure resource: odd number of segments")
        parent = None
        if len(tail) > 2:
            parent = "/" + "/".join(parts[:-2])
        elif start > 4:
            parent = "/" + "/".join(parts[:start])
        return cls(
            subscription=parts[1] if folded[0] == "subscriptions" and len(parts) > 1 else "",
            resource_group=parts[3] if len(parts) > 3 and folded[2] == "resourcegroups" else "",
            type="/".join([provider, *tail[::2]]),
            name=tail[-1],
            parent=parent,
        )


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of the objects inside a document. Every property may be missing: ARM omits what is empty.

    Decoded from JSON they can hold no cycle, so the garbage collector need not look at millions of them.
    """


class Resource(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True, eq=False):
    """One ARM resource. Field names are ARM's property names in snake_case.

    Unknown properties do not break parsing; the document as it came is
    ``estate.document(resource)``.
    """

    ARM_TYPE: ClassVar[str] = ""
    NOUN: ClassVar[str] = "resource"

    id: str
    name: str = ""
    location: str | None = None
    tags: Mapping[str, str | None] | None = None

    @property
    def estate(self) -> Estate:
        """The estate that this resource was read with."""
        estate: Estate = self.__dict__["_estate"]
        return estate

    @cached_property
    def key(self) -> str:
        """The id in the form that compares."""
        return key(self.id)

    @property
    def resource_group(self) -> str:
        """The name of the resource group, in the id's spelling."""
        return ResourceId.parse(self.id).resource_group

    @property
    def subscription(self) -> str:
        """The GUID of the subscription."""
        return ResourceId.parse(self.id).subscription

    @property
    def label(self) -> str:
        """How people call it: the name, or the id's last segment where a document has no name."""
        return self.name or ResourceId.parse(self.id).name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label!r} {self.id}>"


def covers(pattern: str, resource: Resource) -> bool:
    """Match a pattern with the name, ``group/name`` or the whole id, without regard to case."""
    folded = pattern.lower()
    names = (resource.label.lower(), f"{resource.resource_group}/{resource.label}".lower(), resource.key)
    return any(fnmatchcase(name, folded) for name in names)


def needed(value: _T | None, resource: Resource, path: str) -> _T:
    """Return a value that a rule cannot do without. An empty text is as good as none.

    Raises:
        DocumentError: the document does not have it; the message names document and path.
    """
    if value is None or value == "":
        raise DocumentError(
            f"{resource.NOUN} {resource.label!r} ({resource.id}) was read without {path}, which the verdict "
            "needs; it is not assumed to have a default. Look at the document, and at the api-version it was read with"
        )
    return value
