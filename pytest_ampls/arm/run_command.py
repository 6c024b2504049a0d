"""Run Command: a script in a virtual machine, run by the machine's own agent.

The only request of this package that is not a query. It is sent where the user asked for it
(``--ampls-run-command``), and the scripts only read.

Source: https://learn.microsoft.com/rest/api/compute/virtual-machines/run-command and
https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from azure.core.rest import HttpRequest

from pytest_ampls.arm.call import Call, RefusalError
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.origin import printable
from pytest_ampls.arm.refusals import retry_after
from pytest_ampls.model.gap import Gap, GapKind

__all__ = ["API_VERSION", "RunCommand"]

API_VERSION: Final = "2023-09-01"
_TYPE: Final = "Microsoft.Compute/virtualMachines/runCommand"
_ACTION: Final = f"{_TYPE}/action"
_FIRST_WAIT: Final = 1.0
_SHORTEST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 5.0


class RunCommand:
    """Runs scripts in virtual machines. Any thread may use it; Azure runs one script at a time in a machine.

    ``client`` must have been made with ``run_command=True``.
    """

    def __init__(self, client: ArmClient) -> None:
        self._client = client

    def run(self, machine_id: str, command_id: str, script: str, *, timeout: float) -> str | Gap:
        """Run a script and return the message it left, or why there is none.

        A script that does not end in time goes on in the machine: Azure cannot cancel it.

        Args:
            machine_id: resource id of the virtual machine.
            command_id: ``RunShellScript`` or ``RunPowerShellScript``.
            script: the script's text.
            timeout: seconds to wait for the result.
        """
        deadline = time.monotonic() + timeout
        subject = f"Run Command on {printable(machine_id.rpartition('/')[2])}"
        call = Call(_TYPE, machine_id, single=True, patience=timeout, subject=subject, accepts=True)
        document = {"commandId": command_id, "script": script.split("\n")}
        url = f"/{machine_id.strip('/')}/runCommand?api-version={API_VERSION}"
        try:
            self._start(call, url, document, deadline)
            return _message(call, self._result(call, deadline))
        except RefusalError as refusal:
            return _explained(call, refusal)

    def _start(self, call: Call, url: str, document: dict[str, Any], deadline: float) -> None:
        """Start the script; where another one runs in the machine, wait for it."""
        while True:
            try:
                return self._client.send(call, HttpRequest("POST", url, json=document))
            except RefusalError as refusal:
                busy = refusal.gap.status == 409 and refusal.code.lower() == "conflict"
                if not busy or not self._wait(_LONGEST_WAIT, deadline):
                    raise

    def _result(self, call: Call, deadline: float) -> Any:
        """Ask for the result until it is there, and return the document that holds it."""
        answer = _json(call)
        if call.status == 200:
            return answer
        place = call.headers.get("azure-asyncoperation") or call.headers.get("location")
        if not place:
            what = "the answer does not say where the result will be"
            raise RefusalError(call.gap(GapKind.MALFORMED, what, "Run again"))
        pause = _FIRST_WAIT
        while True:
            asked = retry_after(call.headers, time.time())
            if not self._wait(_bounded(pause if asked is None else asked), deadline):
                what = f"the script's result did not arrive within {call.budget:.0f} s, so nothing is known"
                todo = "Raise --ampls-guest-timeout; look whether the machine's agent (waagent) works"
                raise RefusalError(call.gap(GapKind.UNREACHABLE, what, todo))
            self._client.send(call, HttpRequest("GET", place))
            answer = _json(call)
            state = answer.get("status") if isinstance(answer, dict) else None
            if call.status == 200 and state != "InProgress":
                return answer
            pause = min(pause * 2, _LONGEST_WAIT)

    def _wait(self, seconds: float, deadline: float) -> bool:
        left = deadline - time.monotonic()
        return left > 0 and self._client.pause(min(seconds, left))


def _bounded(seconds: float) -> float:
    return min(max(seconds, _SHORTEST_WAIT), _LONGEST_WAIT)


def _json(call: Call) -> Any:
    if not call.body.strip():
        return {}
    try:
        return msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        what = "the answer is no JSON"
        raise RefusalError(call.gap(GapKind.MALFORMED, what, "Look for a proxy in between")) from None


def _message(call: Call, answer: Any) -> str:
    """Return the messages of a result, the error output of Windows left out.

    Raises:
        RefusalError: the operation failed, or the result has no message.
    """
    state = answer.get("status", "Succeeded") if isinstance(answer, dict) else None
    if state != "Succeeded":
        error = answer.get("error") if isinstance(answer, dict) else None
        said = error.get("message", "") if isinstance(error, dict) else ""
        what = f"the operation ended as {printable(str(state))}: {printable(str(said), 300)}"
        raise RefusalError(call.gap(GapKind.UNREACHABLE, what, "Look at the machine's agent (waagent)"))
    for path in (("properties", "output", "value"), ("properties", "output"), ("value",)):
        found = answer
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list):
            messages = [
                part["message"]
                for part in found
                if isinstance(part, dict)
                and isinstance(part.get("message"), str)
                and "stderr" not in str(part.get("code", "")).lower()
            ]
            return "\n".join(messages)
    what = "the result has no message of the script"
    raise RefusalError(call.gap(GapKind.MALFORMED, what, "Run again; if it stays so, report it"))


def _explained(call: Call, refusal: RefusalError) -> Gap:
    """Return a refusal with what it means for a Run Command."""
    gap, code = refusal.gap, refusal.code.lower()
    if gap.kind is GapKind.DENIED:
        what = f"not allowed (HTTP {gap.status})"
        todo = f"Grant the action {_ACTION} there (Virtual Machine Contributor has it), or use --ampls-guests"
        return call.gap(GapKind.DENIED, what, todo, status=gap.status, permission=_ACTION)
    if gap.status == 409 and code == "conflict":
        what = "another Run Command is under way there, and Azure runs one at a time"
        return call.gap(GapKind.UNREACHABLE, what, "Wait until it has ended (90 minutes at most)", status=409)
    if gap.status == 409:
        what = f"the machine does not take one now ({printable(refusal.code)})"
        return call.gap(GapKind.UNREACHABLE, what, "Start the machine, or leave it out", status=409)
    return gap
