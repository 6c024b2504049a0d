"""Paths of resources and listings, taken apart; and the refusal of those that do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from pytest_ampls.lab.messages import Response, error

__all__ = ["RefusedError", "Target", "authorization_failed", "parse_target", "refuse"]


class RefusedError(Exception):
    """A request that is answered with an error; carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def refuse(status: int, code: str, message: str) -> NoReturn:
    """Refuse a request with ARM's error envelope."""
    raise RefusedError(error(status, code, message))


def authorization_failed(action: str, scope: str, object_id: str) -> Response:
    """Return ARM's 403 for an action that the lab's principal may not perform."""
    return error(
        403,
        "AuthorizationFailed",
        f"The client '{object_id}' with object id '{object_id}' does not have authorization to perform action"
        f" '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please"
        " refresh your credentials.",
    )


@dataclass(frozen=True)
class Target:
    """What a path below ``/providers/`` names: a type, and a resource or the place it is listed in.

    ``place`` is the lower-cased id of the parent, the extended resource, the group or the
    subscription; ``name`` is empty for a listing; ``resource_type`` is lower-cased.
    """

    resource_type: str
    place: str
    name: str
    nested: bool

    @property
    def id(self) -> str:
        """The lower-cased id of the resource."""
        kind = self.resource_type.rpartition("/")[2]
        joint = "/" if self.nested else "/providers/" + self.resource_type.partition("/")[0] + "/"
        return f"{self.place}{joint}{kind}/{self.name.lower()}"


def parse_target(path: str) -> Target:
    """Take a path apart at its last ``/providers/``; RefusedError when it has no type."""
    head, _, tail = path.strip("/").lower().rpartition("/providers/")
    segments = tail.split("/")
    if not head or len(segments) < 2:
        refuse(404, "NotFound", "The request URI does not name a resource or a listing.")
    kinds, names = segments[1::2], segments[2::2]
    resource_type = "/".join([segments[0], *kinds])
    name = path.strip("/").rpartition("/")[2] if len(kinds) == len(names) else ""
    nested = len(kinds) > 1
    place = f"/{head}"
    if nested:
        upto = segments[: 1 + 2 * (len(kinds) - 1)]
        place += "/providers/" + "/".join(upto)
    return Target(resource_type, place, name, nested)
