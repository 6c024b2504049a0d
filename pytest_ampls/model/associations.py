"""What a machine's associations hold, and which of them is the one with the reserved name."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.monitor import (
    CONFIG_ENDPOINT_ASSOCIATION,
    DataCollectionRule,
    DataCollectionRuleAssociation,
)
from pytest_ampls.model.resource import needed

__all__ = ["config_endpoint_association", "require_object", "rule_of", "says_nothing"]


def says_nothing(association: DataCollectionRuleAssociation) -> bool:
    """Tell whether an association names neither a rule nor an endpoint, so that it may hold either."""
    held = association.properties
    return not (held.data_collection_rule_id or held.data_collection_endpoint_id)


def require_object(association: DataCollectionRuleAssociation) -> None:
    """Make sure that an association says what it associates: every one that was recorded names a rule or an endpoint.

    Raises:
        DocumentError: it names neither.
    """
    path = "properties.dataCollectionRuleId and properties.dataCollectionEndpointId"
    needed(None if says_nothing(association) else association, association, path)


def rule_of(association: DataCollectionRuleAssociation) -> DataCollectionRule | None:
    """Return the rule that an association holds, None where it holds an endpoint or the rule does not exist.

    Raises:
        EvidenceError: the rule was not read, or the association does not say what it holds.
    """
    require_object(association)
    return association.rule


def config_endpoint_association(
    associations: Iterable[DataCollectionRuleAssociation],
) -> DataCollectionRuleAssociation | None:
    """Return the association with exactly the reserved name, whatever it holds.

    Raises:
        NotReadError: one has that name but for case, from a listing that does not keep case.
    """
    unconfirmed = None
    for part in associations:
        if part.label == CONFIG_ENDPOINT_ASSOCIATION:
            return part
        if part.label == CONFIG_ENDPOINT_ASSOCIATION.lower() and not part.spelling_is_known:
            unconfirmed = part
    if unconfirmed is not None:
        raise NotReadError(
            f"the spelling of the association {unconfirmed.id} was not confirmed: it comes from a listing "
            f"that writes names in lower case, and only {CONFIG_ENDPOINT_ASSOCIATION!r} in exactly this case "
            "counts. The machine's own listing of its associations tells"
        )
    return None
