"""Subscriptions that are not in use any more: disabled, or deleted.

Source: https://learn.microsoft.com/azure/cost-management-billing/manage/subscription-states: what is in a disabled
subscription can be read and not changed, and its machines are deallocated; on a deleted one no operation is
available. With which status ARM says the latter is not documented: it is taken to be that of a subscription that
does not exist. Nor is it documented whether the index keeps the rows of a disabled one: here it does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_ampls.lab.fault.registry import Answer, Meddling, wire_fault
from pytest_ampls.lab.ids import subscription_of
from pytest_ampls.lab.messages import Request, Response, error
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate

__all__: list[str] = []

_WHICH = "number of the subscription, from 0; the last one when left out"


def _picked(estate: Estate, fault: str, argument: str | None) -> str:
    ids = list(estate.subscriptions)
    if argument is not None and not (argument.isdigit() and int(argument) < len(ids)):
        raise LabError(f"lab: {fault}={argument} is not a number from 0 to {len(ids) - 1}")
    return ids[int(argument) if argument is not None else -1].lower()


def _in_state(response: Response, subscription: str, state: str) -> Response:
    """Return the answer of a list of subscriptions, or of the one itself, in which it has another state."""
    document = msgspec.json.decode(response.body)
    rows: list[dict[str, Any]] = document.get("value", [document])
    for row in rows:
        if row["subscriptionId"] == subscription:
            row["state"] = state
    response.body = msgspec.json.encode(document)
    return response


@wire_fault(
    "disabled-subscription", "a subscription is disabled: it can be read, and does not run", argument=_WHICH
)
def disabled_subscription(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Say so, deallocate its machines, and refuse what would change or run something in it."""
    own = _picked(estate, "disabled-subscription", argument)
    machines = [document["id"].lower() for document in estate.of_type("Microsoft.Compute/virtualMachines")]
    estate.power.update((key, "deallocated") for key in machines if subscription_of(key) == own)

    def wrapper(request: Request, answer: Answer) -> Response:
        path = f"{request.path.lower().rstrip('/')}/"
        if request.method != "GET" and path.startswith(f"/subscriptions/{own}/"):
            text = f"The subscription '{own}' is disabled and therefore marked as read only."
            return error(409, "ReadOnlyDisabledSubscription", text)
        response = answer(request)
        if response.status == 200 and path in ("/subscriptions/", f"/subscriptions/{own}/"):
            return _in_state(response, own, "Disabled")
        return response

    meddling.wrappers.append(wrapper)


@wire_fault("deleted-subscription", "a subscription is deleted, and still listed", argument=_WHICH)
def deleted_subscription(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Say so, and have nothing of it: neither ARM nor the index."""
    own = _picked(estate, "deleted-subscription", argument)

    def forget(rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if row["subscriptionId"] != own]

    def wrapper(request: Request, answer: Answer) -> Response:
        path = f"{request.path.lower().rstrip('/')}/"
        if path.startswith(f"/subscriptions/{own}/") and path != f"/subscriptions/{own}/":
            return error(404, "SubscriptionNotFound", f"The subscription '{own}' could not be found.")
        response = answer(request)
        if response.status == 200 and path in ("/subscriptions/", f"/subscriptions/{own}/"):
            return _in_state(response, own, "Deleted")
        return response

    meddling.lags.append(forget)
    meddling.wrappers.append(wrapper)
