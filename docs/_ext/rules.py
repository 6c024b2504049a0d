"""The directives ``ampls-rules`` and ``ampls-role``: pages about rules, read from the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import pytest_ampls.assertions  # noqa: F401  # declares the rules
from pytest_ampls import CATALOGUE, Rule
from pytest_ampls.model.types import API_VERSIONS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["role_json", "rules_markdown", "setup"]


def rules_markdown() -> str:
    """Return the reference of all rules: a section per family, a section per rule."""
    families: dict[str, list[Rule[Any]]] = {}
    for rule in sorted(CATALOGUE.values(), key=lambda entry: entry.id):
        families.setdefault(rule.family, []).append(rule)
    return "\n".join(line for family, rules in families.items() for line in _family(family, rules))


# The subscription itself, the index, the list that the index is held against, and the identity's own roles: without
# these two a run costs more calls, and nothing else.
_DISCOVERY_ACTIONS = (
    "Microsoft.Authorization/roleAssignments/read",
    "Microsoft.Authorization/roleDefinitions/read",
    "Microsoft.ResourceGraph/resources/read",
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Resources/subscriptions/resources/read",
)


def role_json() -> str:
    """Return a custom role that allows to read each type that a run reads, and nothing else."""
    # The action for listing record sets of every type is called ALL; a single one has an action of its own.
    actions = {f"{name.replace('/recordSets', '/ALL')}/read" for name in API_VERSIONS}
    actions |= {action for rule in CATALOGUE.values() for action in rule.permissions}
    role = {
        "Name": "Private link scope conformance reader",
        "Description": "Reads what pytest-ampls judges.",
        "Actions": sorted({*_DISCOVERY_ACTIONS, *actions}, key=str.lower),
        "AssignableScopes": ["/subscriptions/11111111-2222-3333-4444-555555555555"],
    }
    return json.dumps(role, indent=2)


def _family(family: str, rules: list[Rule[Any]]) -> Iterator[str]:
    yield f"## {family.replace('_', ' ').capitalize()}"
    yield ""
    for rule in rules:
        yield from _rule(rule)


def _rule(rule: Rule[Any]) -> Iterator[str]:
    yield f"({rule.id.lower()})="
    yield f"### {rule.id} {rule.title}"
    yield ""
    yield rule.why
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| assertion | `{rule.name}` |"
    yield f"| severity | {rule.severity} |"
    for name, default in rule.expectations.items():
        shown = list(default) if isinstance(default, tuple) else default
        yield f"| expectation `{name}` | default `{shown!r}` |"
    yield f"| looks at | {', '.join(rule.evidence)} |"
    yield f"| permissions | {' '.join(f'`{action}`' for action in rule.permissions)} |"
    if rule.controls:
        yield f"| controls | {', '.join(rule.controls)} |"
    yield f"| Microsoft Learn | <{rule.learn}> |"
    for tongue, text in (("az", rule.fix.az), ("Terraform", rule.fix.terraform), ("Bicep", rule.fix.bicep)):
        yield ""
        yield f"**{tongue}**"
        yield ""
        yield "```text"
        yield text.strip()
        yield "```"
    yield ""


class RulesDirective(SphinxDirective):
    """Put the reference of all rules here."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return self.parse_text_to_nodes(rules_markdown(), allow_section_headings=True)


class RoleDirective(SphinxDirective):
    """Put the least-privilege role here."""

    def run(self) -> list[nodes.Node]:
        """Return one block of JSON."""
        return self.parse_text_to_nodes(f"```json\n{role_json()}\n```")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("ampls-rules", RulesDirective)
    app.add_directive("ampls-role", RoleDirective)
    return {"parallel_read_safe": True}
