"""Guests over ssh: testinfra's backend, made safe to leave alone, and what its failures mean."""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

from testinfra.backend.base import CommandResult
from testinfra.backend.ssh import SshBackend

from pytest_ampls.errors import printable
from pytest_ampls.guest.access import GuestAccess, SshTarget
from pytest_ampls.guest.process import Finished, run
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.severable import Interruption

__all__ = ["GuestSsh", "gap_of"]

MOST_BYTES: Final = 1 << 26
CONNECT_SECONDS: Final = 10

# BatchMode: nothing is ever asked for. StrictHostKeyChecking: an unknown host is nobody's to accept here.
# ControlMaster: a master that this connection left behind would keep its outputs open, and the run waiting.
_OPTIONS: Final = (
    "-T -o BatchMode=yes -o StrictHostKeyChecking=yes -o NumberOfPasswordPrompts=0 -o LogLevel=ERROR "
    "-o ControlMaster=no "
    f"-o ConnectTimeout={CONNECT_SECONDS} -o ServerAliveInterval=15 -o ServerAliveCountMax=3"
)


class GuestSsh(SshBackend):  # type: ignore[misc]  # testinfra's classes are untyped for mypy
    """testinfra's ssh backend without a local shell, without prompts, and with an end in sight.

    Args:
        target: the host.
        access: the files for ssh.
        timeout: seconds that one command may take, connecting included.
        most: bytes of output that one command may have.
        interruption: what ends a command before its time.
    """

    def __init__(
        self,
        target: SshTarget,
        access: GuestAccess,
        *,
        timeout: float,
        most: int = MOST_BYTES,
        interruption: Interruption | None = None,
    ) -> None:
        super().__init__(
            target.hostspec,
            ssh_config=access.ssh_config or None,
            ssh_identity_file=access.ssh_identity_file or None,
            timeout=CONNECT_SECONDS,
            controlpersist=0,
            ssh_extra_args=_OPTIONS,
            sudo=target.sudo,
            sudo_user=target.sudo_user,
        )
        self._seconds = timeout
        self._most = most
        self._interruption = interruption

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        """Return the command for sudo, which must not ask for a password."""
        user = f"-u {shlex.quote(sudo_user)} " if sudo_user else ""
        return f"sudo -n {user}/bin/sh -c {shlex.quote(command)}"

    def run_local(self, command: str, *args: str) -> CommandResult:
        """Run ssh itself.

        Raises:
            TimeoutError: the command took too long, or printed too much.
        """
        done = self._run(self.quote(command, *args))
        if done.status is None:
            what = "printed too much" if done.overflowed else f"did not end within {self._seconds:.0f} s"
            raise TimeoutError(f"the command on {self.hostname} {what}")
        return self.result(done.status, self.encode(command), done.stdout, done.stderr)

    def feed(self, script: str) -> Finished:
        """Run a script that goes over standard input: one connection, one command, no file.

        Raises:
            OSError: there is no ssh here.
        """
        command, args = self._build_ssh_command(self.get_command("/bin/sh -s"))
        return self._run(self.quote(" ".join(command), *args), script.encode())

    def _run(self, line: str, stdin: bytes = b"") -> Finished:
        return run(
            shlex.split(line),
            stdin=stdin,
            timeout=self._seconds,
            most=self._most,
            interruption=self._interruption,
        )

    def get_encoding(self) -> str:
        """Return UTF-8: asking the guest would take a connection of its own."""
        return "utf-8"

    def decode(self, data: bytes) -> str:
        """Return output as text; bytes that are no UTF-8 stay visible."""
        return data.decode("utf-8", "backslashreplace")


_FAILURES: Final[tuple[tuple[str, GapKind, str, str], ...]] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        GapKind.UNAUTHENTICATED,
        "the host key is another one than the known one",
        "Find out why before you trust it: it may be another machine. Then replace its line in known_hosts",
    ),
    (
        r"Host key verification failed|host key is known for",
        GapKind.UNAUTHENTICATED,
        "the host key is not known, and is never accepted unseen",
        "Put the machine's key into known_hosts, or name a file that has it (UserKnownHostsFile in --ampls-ssh-config)",
    ),
    (
        r"Permission denied \((?P<methods>[^)]*)\)",
        GapKind.DENIED,
        "the machine refused the login (it offers {methods})",
        "Name a key that it accepts (--ampls-ssh-identity-file or an agent), and check the user; no password is used",
    ),
    (
        r"Too many authentication failures",
        GapKind.DENIED,
        "the machine refused the login after too many keys",
        "Name the one key that it accepts: --ampls-ssh-identity-file, and IdentitiesOnly=yes in --ampls-ssh-config",
    ),
    (
        r"Connection refused",
        GapKind.UNREACHABLE,
        "the connection was refused",
        "Check that sshd runs there, its port, and the network security groups in between",
    ),
    (
        r"[Cc]onnection timed out|Operation timed out|timed out during banner exchange|Timeout, server",
        GapKind.UNREACHABLE,
        "there was no answer in time",
        "Check route and network security groups, and whether a jump host is needed (ProxyJump in --ampls-ssh-config)",
    ),
    (
        r"Could not resolve hostname",
        GapKind.UNREACHABLE,
        "its name could not be resolved",
        "Use {{private_ip}} in --ampls-guests, or name its HostName in --ampls-ssh-config",
    ),
    (
        r"No route to host|Network is unreachable",
        GapKind.UNREACHABLE,
        "there is no route to it",
        "Run where the machine can be reached, or name a jump host (ProxyJump in --ampls-ssh-config)",
    ),
    (
        r"[Cc]onnection (?:closed|reset) by|kex_exchange_identification|[Bb]roken pipe",
        GapKind.UNREACHABLE,
        "the connection was closed",
        "Look at sshd's log there: too many connections at once (MaxStartups), or no access for this address",
    ),
    (
        r"UNPROTECTED PRIVATE KEY FILE|Load key .*: |Bad permissions|Identity file .* not accessible",
        GapKind.UNAUTHENTICATED,
        "the key file cannot be used",
        "Check the file of --ampls-ssh-identity-file and who may read it",
    ),
)


def gap_of(done: Finished, target: SshTarget, seconds: float) -> Gap | None:
    """Return why a script's run over ssh told nothing, None where it may have told something."""
    said = done.stderr.decode("utf-8", "backslashreplace")
    if done.overflowed:
        return _gap(
            target, GapKind.MALFORMED, "it sent far more than the script prints", "Look what floods there"
        )
    if done.timed_out:
        what = f"the script did not end within {seconds:.0f} s"
        todo = "Raise --ampls-guest-timeout, or look why commands hang there"
        return _gap(target, GapKind.UNREACHABLE, what, todo)
    if target.sudo and done.status not in (0, 255) and "sudo" in said:
        todo = "Allow it without a password (NOPASSWD in sudoers), or leave ?sudo=true out of --ampls-guests"
        return _gap(target, GapKind.DENIED, f"sudo did not work there ({_last_line(said)})", todo)
    if done.status != 255:
        return None
    for pattern, kind, what, todo in _FAILURES:
        match = re.search(pattern, said)
        if match is not None:
            return _gap(target, kind, what.format(**_shown(match.groupdict())), todo.format())
    return _gap(target, GapKind.UNREACHABLE, f"ssh failed ({_last_line(said)})", "Try the same with ssh -v")


def _shown(groups: dict[str, Any]) -> dict[str, str]:
    return {name: printable(str(value))[:100] for name, value in groups.items()}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[-1])[:200] if lines else "without a word"


def _gap(target: SshTarget, kind: GapKind, what: str, todo: str) -> Gap:
    return Gap(kind=kind, message=f"{target.label}: {what}. {todo}")
