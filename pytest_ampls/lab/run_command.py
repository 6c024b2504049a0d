"""Run Command: scripts in the lab's guests, started by POST and asked for until they have ended.

Sources: recorded answers of the service; Microsoft Learn, "Run scripts in your Linux VM by using Run Command"
(the last 4,096 bytes, one script at a time), and "Azure Virtual Machine error messages" (that the machine has to run;
the status 409 of its code was seen in answers to other requests, not in one to this one).
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pytest_ampls.lab import gather_format, guest_shell
from pytest_ampls.lab.fault.registry import Meddling
from pytest_ampls.lab.guest import Guest
from pytest_ampls.lab.instance_view import RUNNING
from pytest_ampls.lab.messages import Request, Response, error, json_response
from pytest_ampls.lab.resolution import Resolution
from pytest_ampls.lab.resource_types import RESOURCE_TYPES
from pytest_ampls.lab.store import Index
from pytest_ampls.lab.targets import refuse

__all__ = ["RunCommands"]

_MACHINES: Final = "microsoft.compute/virtualmachines"
_ACTION: Final = re.compile(
    r"(?P<machine>/subscriptions/.+/providers/microsoft\.compute/virtualmachines/[^/]+)/runcommand"
)
_OPERATION: Final = re.compile(
    r"/subscriptions/[^/]+/providers/microsoft\.compute/locations/[^/]+/operations/(?P<id>[^/]+)"
)
_KEPT: Final = 4096
_BUSY: Final = (
    "Run command extension execution is in progress. "
    "Please wait for completion before invoking a run command."
)
_NOT_RUNNING: Final = "The operation requires the VM to be running (or set to run)."
_STARTED: Final = "2026-03-01T09:00:00.1234567+00:00"


@dataclass
class _Operation:
    """A script that was started. It is in progress the first time it is asked for."""

    machine: str
    windows: bool
    output: str
    silent: bool
    asked: int = 0


class RunCommands:
    """Answers the requests of Run Command. Thread-safe.

    ``origin`` is that of the server, for the links in answers.
    """

    def __init__(self, index: Index, meddling: Meddling) -> None:
        self.origin = ""
        self._index = index
        self._meddling = meddling
        self._operations: dict[str, _Operation] = {}
        self._running: set[str] = set()
        self._lock = threading.Lock()

    @cached_property
    def _resolution(self) -> Resolution:
        return Resolution(self._index, self._meddling)

    def answer(self, request: Request) -> Response | None:
        """Answer a request, None where it has nothing to do with Run Command; RefusedError for a bad one."""
        path = request.path.lower().rstrip("/")
        if request.method == "POST":
            action = _ACTION.fullmatch(path)
            return self._start(request, action["machine"]) if action is not None else None
        operation = _OPERATION.fullmatch(path) if request.method == "GET" else None
        return self._result(request, operation["id"]) if operation is not None else None

    def _start(self, request: Request, key: str) -> Response:
        version = request.query().get("api-version", "")
        if version not in RESOURCE_TYPES[_MACHINES].versions:
            refuse(
                400,
                "NoRegisteredProviderFound",
                f"No registered resource provider found for API version '{version}'.",
            )
        machine = self._index.by_id.get(key)
        if machine is None:
            name, group = key.rpartition("/")[2], key.split("/")[4]
            shown = f"Microsoft.Compute/virtualMachines/{name}"
            text = f"The Resource '{shown}' under resource group '{group}' was not found."
            refuse(404, "ResourceNotFound", text)
        script = self._script(request)
        if self._index.power.get(key, RUNNING) != RUNNING:
            return error(409, "OperationNotAllowed", _NOT_RUNNING)
        guest = Guest(
            self._index, self._resolution, machine, frozenset(self._meddling.guest_flaws.get(key, ()))
        )
        operation = _Operation(key, guest.is_windows, _run(script, guest), "guest-silent" in guest.flaws)
        name = str(uuid.uuid4())
        with self._lock:
            if key in self._running:
                return error(409, "Conflict", _BUSY)
            self._running.add(key)
            self._operations[name] = operation
        subscription, location = key.split("/")[2], machine["location"]
        place = (
            f"{self.origin}/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}"
            f"/operations/{name}?api-version={version}"
        )
        headers = {"Azure-AsyncOperation": place, "Location": f"{place}&monitor=true", "Retry-After": "0"}
        return Response(202, b"", headers)

    def _script(self, request: Request) -> str:
        try:
            document: Any = json.loads(request.body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("script", []), list):
            refuse(
                400, "InvalidRequestContent", "The request content was invalid and could not be deserialized."
            )
        if document.get("commandId") not in ("RunShellScript", "RunPowerShellScript"):
            refuse(404, "NotFound", "The entity was not found in this Azure location.")
        return "\n".join(map(str, document.get("script", [])))

    def _result(self, request: Request, name: str) -> Response:
        monitored = request.query().get("monitor") == "true"
        with self._lock:
            operation = self._operations.get(name)
            if operation is None:
                return error(404, "NotFound", f"The operation '{name}' could not be found.")
            operation.asked += 1
            ended = operation.asked > 1 and not operation.silent
            if ended:
                self._running.discard(operation.machine)
        document: dict[str, Any] = {
            "startTime": _STARTED,
            "status": "Succeeded" if ended else "InProgress",
            "name": name,
        }
        headers = {"Retry-After": "0"}
        if monitored:
            return json_response(200, _messages(operation)) if ended else Response(202, b"", headers)
        if ended:
            document |= {"endTime": _STARTED, "properties": {"output": _messages(operation)}}
        return json_response(200, document, headers)


def _run(script: str, guest: Guest) -> str:
    call = gather_format.recognised(script)
    if "guest-garbage" in guest.flaws:
        nonce = call.nonce if call is not None else "00000000"
        escapes = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>"
        return f"{escapes}\n{nonce} ] tokens 999\n{nonce[::-1]} begin 1\n\x00\xff\n"
    if call is not None:
        return gather_format.answer(call, guest)
    answered = guest_shell.framed(script, guest)
    if answered is not None:
        return answered
    lines = [line for line in script.splitlines() if line.strip() and not line.startswith("#")]
    return "".join(guest_shell.run(line, guest).stdout for line in lines)


def _messages(operation: _Operation) -> dict[str, Any]:
    """Return the result: both outputs in one message on Linux, apart on Windows; the last bytes of them."""
    output = operation.output.encode("utf-8", "surrogatepass")[-_KEPT:].decode("utf-8", "replace")
    shared = {"level": "Info", "displayStatus": "Provisioning succeeded"}
    if not operation.windows:
        message = f"Enable succeeded: \n[stdout]\n{output}\n[stderr]\n"
        return {"value": [{"code": "ProvisioningState/succeeded", **shared, "message": message}]}
    return {
        "value": [
            {"code": "ComponentStatus/StdOut/succeeded", **shared, "message": output},
            {"code": "ComponentStatus/StdErr/succeeded", **shared, "message": ""},
        ]
    }
