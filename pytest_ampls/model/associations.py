"""Which of a machine's associations is the one with the reserved name."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.monitor import CONFIG_ENDPOINT_ASSOCIATION, DataCollectionRuleAssociation

__all__ = ["config_endpoint_association"]


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
