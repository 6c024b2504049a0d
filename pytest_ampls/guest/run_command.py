"""Guests over Azure Run Command: a backend for testinfra, and the message taken apart.

Source: https://learn.microsoft.com/azure/virtual-machines/linux/run-command (output is the last 4,096 bytes; one
script at a time; it cannot be cancelled).
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import Any, Final

from testinfra.backend.base import BaseBackend, CommandResult

from pytest_ampls.errors import EvidenceError
from pytest_ampls.guest.access import CommandRunner
from pytest_ampls.model.gap import Gap, GapKind

__all__ = ["LIMIT", "POWERSHELL", "SHELL", "RunCommandBackend", "standard_output"]

SHELL: Final = "RunShellScript"
POWERSHELL: Final = "RunPowerShellScript"
LIMIT: Final = 3500
"""Bytes that one call may say: 4,096 are left of it, the frame of the message included."""

_FRAME: Final = re.compile(r"\[stdout\]\n(?P<stdout>.*)\n\[stderr\]\n", re.DOTALL)


def standard_output(message: str) -> str:
    """Return what a script printed, from the message of Run Command.

    On Linux both outputs are framed in one message; on Windows the message is the output itself.
    """
    match = _FRAME.search(message)
    if match is not None:
        return match["stdout"]
    # A frame that was cut off: what is left is the end of the output, and the reader of it finds that out.
    return message.rpartition("\n[stderr]\n")[0] or message


class RunCommandBackend(BaseBackend):  # type: ignore[misc]  # testinfra's classes are untyped for mypy
    """Runs each command as a Run Command script: slow (about 20 s each), and as root.

    Exit status and output come back in a frame of our own, because Run Command reports neither. An output of more
    than 2,600 bytes does not fit, and is an error rather than a part of the truth.

    Args:
        runner: what runs scripts.
        machine_id: resource id of the virtual machine.
        name: how it is called in messages.
        timeout: seconds to wait for one command.
    """

    NAME = "run-command"

    def __init__(
        self,
        runner: CommandRunner,
        machine_id: str,
        *,
        name: str,
        windows: bool = False,
        timeout: float = 120.0,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self._runner = runner
        self._machine_id = machine_id
        self._windows = windows
        self._seconds = timeout

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a command.

        Raises:
            EvidenceError: it could not be run, did not end in time, or its output was cut.
        """
        del kwargs  # testinfra's callers name an encoding, which is always UTF-8 here
        line = self.get_command(command, *args)
        nonce = secrets.token_hex(4)
        script = _framed_powershell(line, nonce) if self._windows else _framed_shell(line, nonce)
        command_id = POWERSHELL if self._windows else SHELL
        told = self._runner.run(self._machine_id, command_id, script, timeout=self._seconds)
        if isinstance(told, Gap):
            raise told.error()
        status, stdout, stderr = self._outcome(standard_output(told), nonce)
        return self.result(status, line.encode(), stdout, stderr)

    def _outcome(self, output: str, nonce: str) -> tuple[int, bytes, bytes]:
        match = re.search(rf"{nonce} (\d+) ([A-Za-z0-9+/=]*) ([A-Za-z0-9+/=]*) {nonce}", output)
        try:
            if match is not None:
                return int(match[1]), base64.b64decode(match[2], validate=True), base64.b64decode(match[3])
        except binascii.Error:
            pass
        kind = GapKind.MALFORMED
        raise _error(
            kind,
            f"Run Command on {self.hostname}: the output was cut, or is not the command's: Run Command keeps the "
            "last 4,096 bytes. Ask for less at once (head, grep, stat)",
        )

    def get_encoding(self) -> str:
        """Return UTF-8: asking the guest would take another Run Command."""
        return "utf-8"

    def decode(self, data: bytes) -> str:
        """Return output as text; bytes that are no UTF-8 stay visible."""
        return data.decode("utf-8", "backslashreplace")


def _error(kind: GapKind, message: str) -> EvidenceError:
    return Gap(kind=kind, message=message).error()


def _framed_shell(line: str, nonce: str) -> str:
    """Return a script that prints nonce, status, output and error output (base64), nonce.

    Two files keep what the command prints until it has ended: of two pipes the second could fill up unread.
    """
    return (
        "ampls_folder=$(mktemp -d) || exit 1\n"
        f'(\n{line}\n) >"$ampls_folder/out" 2>"$ampls_folder/err" </dev/null\n'
        "ampls_status=$?\n"
        f"printf '{nonce} %s %s %s {nonce}\\n' \"$ampls_status\" "
        '"$(base64 <"$ampls_folder/out" | tr -d \'\\n\')" "$(base64 <"$ampls_folder/err" | tr -d \'\\n\')"\n'
        'rm -rf "$ampls_folder"\n'
    )


def _framed_powershell(line: str, nonce: str) -> str:
    """Return the same for PowerShell, whose errors are part of its output."""
    encoded = base64.b64encode(line.encode("utf-16-le")).decode("ascii")
    return (
        f"$out = (& powershell.exe -NoProfile -NonInteractive -EncodedCommand {encoded} 2>&1 | Out-String)\n"
        "$status = $LASTEXITCODE\n"
        "$bytes = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($out))\n"
        f'Write-Output "{nonce} $status $bytes  {nonce}"\n'
    )
