"""What is asked of Resource Graph for a type, and how a row becomes a document again.

The columns come from the model's own fields: whatever a class of the model decodes is asked for,
and nothing else, so that an index of a hundred thousand machines travels light.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, get_args

import msgspec

from pytest_ampls.model.compute import ArcMachine, ScaleSetInstance, VirtualMachine
from pytest_ampls.model.machine import ArcMachineExtension, VirtualMachineExtension
from pytest_ampls.model.monitor import DataCollectionRuleAssociation
from pytest_ampls.model.network import NetworkInterface, PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.network_security import NetworkSecurityGroup
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.model.resource import Resource

__all__ = ["Projection", "projection_of", "projection_of_many"]

_TABLES: Final[dict[type[Resource], str]] = {
    VirtualMachine: "resources",
    VirtualMachineExtension: "resources",
    ArcMachine: "resources",
    ArcMachineExtension: "resources",
    NetworkInterface: "resources",
    VirtualNetwork: "resources",
    PrivateEndpoint: "resources",
    NetworkSecurityGroup: "resources",
    PrivateDnsZone: "resources",
    ScaleSetInstance: "computeresources",
    DataCollectionRuleAssociation: "insightsresources",
}
"""Class to the table that holds it.

Source: https://learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources
"""

_CLASSES: Final = {cls.ARM_TYPE.lower(): cls for cls in _TABLES}
# Other properties at the top of a document have no column: naming one makes the query invalid.
_COLUMNS: Final = frozenset({"location", "tags", "identity", "properties"})
_NOTHING: Final = (b"null", b'""')

Path = tuple[str, ...]
Row = dict[str, msgspec.Raw]


class Projection(msgspec.Struct, frozen=True):
    """The query for a type. ``type`` is in ARM's spelling; ``paths`` lead to what is asked for.

    ``more`` are further types that the same query asks for, in ARM's spelling.
    """

    type: str
    table: str
    paths: tuple[Path, ...]
    more: tuple[str, ...] = ()

    def query(self, condition: str = "") -> str:
        """Return the query, in KQL. Rows are ordered by id: without an order pages may overlap.

        ``condition`` is a further condition that rows have to meet.
        """
        columns = ", ".join(_column(path) for path in self._columns)
        kinds = ", ".join(f"'{own.lower()}'" for own in (self.type, *self.more))
        which = f"type in~ ({kinds})" if self.more else f"type =~ {kinds}"
        narrowed = f"{which} and {condition}" if condition else which
        return f"{self.table} | where {narrowed} | project id, name, {columns} | order by id asc"

    @property
    def _columns(self) -> tuple[Path, ...]:
        return (("type",), *self.paths) if self.more else self.paths

    def document(self, row: Row) -> msgspec.Raw:
        """Return a row in the shape of ARM's document: nested again, and without empty columns.

        Raises:
            KeyError: the row has no id, or one of many types has no type.
        """
        kind = self._spelling(row["type"]) if self.more else self.type
        content: dict[str, Any] = {"id": row["id"], "type": kind, "properties": {}}
        for path in (("name",), *self.paths):
            value = row.get("_".join(path))
            if value is None or bytes(value) in _NOTHING:
                continue
            place = content
            for step in path[:-1]:
                place = place.setdefault(step, {})
            place[path[-1]] = value
        return msgspec.Raw(msgspec.json.encode(content))

    def _spelling(self, kind: msgspec.Raw) -> Any:
        folded = bytes(kind).strip(b'"').decode(errors="replace").lower()
        return next((own for own in (self.type, *self.more) if own.lower() == folded), kind)


def _column(path: Path) -> str:
    alias, whole = "_".join(path), ".".join(path)
    return whole if alias == whole else f"{alias} = {whole}"


@lru_cache
def projection_of(resource_type: str) -> Projection:
    """Return what to ask for a type.

    Raises:
        KeyError: the type is not read from the index.
    """
    cls = _CLASSES[resource_type.lower()]
    paths = tuple(path for path in _paths(cls) if path[0] in _COLUMNS)
    return Projection(type=cls.ARM_TYPE, table=_TABLES[cls], paths=paths)


@lru_cache
def projection_of_many(resource_types: tuple[str, ...], *, whole: tuple[str, ...]) -> Projection:
    """Return one question for several types: ids of all, and what the model decodes of those in ``whole``.

    Raises:
        KeyError: a type of ``whole`` is not read from the index.
    """
    found = {path for own in whole for path in projection_of(own).paths}
    # Of two columns of which one holds the other, the larger one is asked for.
    paths = sorted(path for path in found if not any(path[:at] in found for at in range(1, len(path))))
    return Projection(
        type=resource_types[0], table="resources", paths=tuple(paths), more=tuple(resource_types[1:])
    )


def _paths(cls: type[msgspec.Struct]) -> Iterator[Path]:
    """Return the paths to all fields of a class; lists and free objects are taken whole."""
    for field in msgspec.structs.fields(cls):
        inner = next((part for part in (field.type, *get_args(field.type)) if _is_struct(part)), None)
        if inner is None or _is_list(field.type):
            yield (field.encode_name,)
        else:
            yield from ((field.encode_name, *path) for path in _paths(inner))


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple
