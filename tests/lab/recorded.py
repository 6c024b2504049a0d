"""The recorded wire data beside the checkout: field tables and key paths of live answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded wire data is not beside the checkout")


def key_paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every key, ``[]`` for list items, ``*`` for ids that are keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = "*" if key.startswith("/subscriptions/") else key
            path = f"{prefix}.{name}" if prefix else name
            yield path
            yield from key_paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from key_paths(inner, f"{prefix}[]")


def resources(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every resource in a decoded body, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), str) and "/" in str(value.get("type", "")):
            yield value
        for inner in value.values():
            yield from resources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from resources(inner)


@cache
def specified() -> dict[str, frozenset[str]]:
    """Return lower-cased type to the key paths of all its api-versions, from the specifications."""
    tables = json.loads((DATA / "FIELDS.json").read_text(encoding="utf-8"))["types"]
    return {
        name: frozenset(field["path"] for fields in table["fields_by_version"].values() for field in fields)
        for name, table in tables.items()
    }


@cache
def versions() -> dict[str, frozenset[str]]:
    """Return lower-cased type to the api-versions that the tables know."""
    tables = json.loads((DATA / "FIELDS.json").read_text(encoding="utf-8"))["types"]
    return {
        name: frozenset([*table["stable_versions"], *table["preview_versions"]])
        for name, table in tables.items()
    }


def recorded_lines(pattern: str) -> Iterator[dict[str, Any]]:
    """Yield the recorded interactions of the files that match."""
    for path in sorted(DATA.glob(pattern)):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


@cache
def live() -> dict[str, frozenset[str]]:
    """Return lower-cased type to the key paths that were seen in live answers."""
    seen: dict[str, set[str]] = {}
    for pattern in ("by_type/*.jsonl", "timelines/*.jsonl", "*.jsonl"):
        for line in recorded_lines(pattern):
            for resource in resources(line.get("response_body")):
                seen.setdefault(resource["type"].lower(), set()).update(key_paths(resource))
    return {name: frozenset(paths) for name, paths in seen.items()}
