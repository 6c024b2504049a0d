"""The files of the world's machines: /etc, the agent's folders, keys, certificates, settings of servers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import trustme

from tests.world.documents import PLATFORM, Estate, Machine

__all__ = [
    "AGENT_UNITS",
    "LOG",
    "STAND_IN",
    "TOKEN",
    "Keys",
    "endpoint_settings",
    "etc",
    "imds_state",
    "lay_out",
    "nameservers",
    "resolv_conf",
]

STAND_IN: Final = Path(__file__).parent / "stand_in"
AGENT_UNITS: Final = ("azuremonitoragent", "azuremonitor-coreagent", "azuremonitor-agentlauncher")
LOG: Final = "opt/microsoft/azuremonitoragent/log/mdsd.err"
"""The agent's error log below the folder of a machine; /var/opt is ``opt`` there."""
TOKEN: Final = "eyJ0eXAi.not-to-be-kept.by-anybody"
"""What every metadata service of the world gives; it must not be found anywhere else."""

_TAKEN: Final = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "group",
    "protocols",
    "services",
)


def etc(folder: Path, keys: Keys, servers: Iterable[str]) -> None:
    """Write an /etc with what programs need and nothing of this machine's names, keys or trust."""
    place = folder / "etc"
    (place / "ssl/certs").mkdir(parents=True)
    for name in _TAKEN:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(source, place / name, symlinks=True)
        elif source.exists():
            shutil.copy(source, place / name)
    (place / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        "sshd:x:110:65534::/run/sshd:/usr/sbin/nologin\n"
    )
    (place / "shadow").write_text("root:*:20000:0:99999:7:::\n")
    (place / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    (place / "hosts").write_text("127.0.0.1 localhost\n")
    resolv_conf(folder, servers)
    for trusted in ("cert.pem", "certs/ca-certificates.crt", f"certs/{keys.authority_hash}.0"):
        shutil.copy(keys.authority, place / "ssl" / trusted)


def resolv_conf(folder: Path, servers: Iterable[str]) -> None:
    """Write which DNS servers a machine asks."""
    (folder / "etc/resolv.conf").write_text("".join(f"nameserver {server}\n" for server in servers))


def lay_out(folder: Path, machine: Machine, keys: Keys, servers: Iterable[str]) -> None:
    """Write the files of a machine with a healthy agent."""
    etc(folder, keys, servers)
    chunks = folder / "etc/opt/microsoft/azuremonitoragent/config-cache/configchunks"
    chunks.mkdir(parents=True)
    for name, text in machine.chunks.items():
        (chunks / name).write_text(text)
    (folder / "etc/default").mkdir()
    (folder / "etc/default/azuremonitoragent").write_text(
        "export ENABLE_MCS=true\nexport PA_GIG_BRIDGE_MODE=true\n"
    )
    (folder / LOG).parent.mkdir(parents=True)
    (folder / LOG).touch()
    imds_state(folder, machine)
    (folder / "sshd_config").write_text(
        f"ListenAddress {machine.address}\nPort 22\nHostKey {keys.folder / 'host'}\nPidFile none\nUsePAM no\n"
        f"StrictModes no\nPermitRootLogin yes\nAuthorizedKeysFile {keys.folder / 'user.pub'}\n"
        "KbdInteractiveAuthentication no\nPasswordAuthentication no\nUseDNS no\nLogLevel VERBOSE\n"
        f'SetEnv "PATH={STAND_IN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"\n'
    )


def imds_state(
    folder: Path, machine: Machine, *, system: bool | None = None, identities: int | None = None
) -> None:
    """Write what the metadata service of a machine has: the machine's identities, or so many made-up ones."""
    held = machine.identities
    if identities is not None:
        made_up = ("mi_res_id", "client_id", "object_id")
        held = tuple(dict.fromkeys(made_up, f"other{n}") for n in range(identities))
    state = {
        "system": machine.system_identity if system is None else system,
        "identities": held,
        "token": TOKEN,
    }
    file = folder / "imds.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(state))
    fresh.replace(file)


class Keys:
    """Host and user keys, the authority that all machines trust, one that none does, and a file for ssh."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)],
                check=True,
            )
        self.authority = folder / "authority.pem"
        own = trustme.CA(organization_name="World of the tests", organization_unit_name="Authority")
        own.cert_pem.write_to_path(self.authority)
        other = trustme.CA(organization_name="Inspecting proxy", organization_unit_name="Firewall")
        self._authorities = {"endpoint": own, "resigned": other}
        hashed = subprocess.run(
            ["openssl", "x509", "-noout", "-hash", "-in", str(self.authority)],
            check=True,
            capture_output=True,
            text=True,
        )
        self.authority_hash = hashed.stdout.strip()

    def certify(self, names: Iterable[str]) -> None:
        """Write a certificate by each authority: for all hosts of these names' domains, as Azure's are."""
        every = sorted({f"*.{name.partition('.')[2]}" for name in names})
        for name, authority in self._authorities.items():
            leaf = authority.issue_cert(*every)
            leaf.private_key_pem.write_to_path(self.folder / f"{name}.key")
            leaf.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")

    def ssh_config(self, estate: Estate) -> Path:
        """Write the settings for ssh with an entry for each machine; returns the file."""
        known, settings = self.folder / "known_hosts", self.folder / "ssh_config"
        key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        machines = estate.machines.values()
        known.write_text("".join(f"{each.address} {key}\n" for each in machines))
        settings.write_text(
            "".join(f"Host {each.name}\n  HostName {each.address}\n" for each in machines)
            + f"Host *\n  IdentityFile {self.folder / 'user'}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n"
        )
        return settings


def endpoint_settings(
    folder: Path, keys: Keys, *, certificate: str = "endpoint", protocols: str = ""
) -> Path:
    """Write the settings of the nginx that stands in for the services behind a private endpoint; returns the file.

    ``protocols`` are nginx's words for the versions of TLS, empty for 1.2 and 1.3.
    """
    folder.mkdir(exist_ok=True)
    temporary = "".join(
        f"  {kind}_temp_path {folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off;\nmaster_process off;\nuser root;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{ worker_connections 512; }}\nhttp {{\n  access_log off;\n{temporary}  server {{\n"
        "    listen 443 ssl;\n"
        f"    ssl_certificate {keys.folder}/{certificate}.pem;\n"
        f"    ssl_certificate_key {keys.folder}/{certificate}.key;\n"
        f"    ssl_protocols {protocols or 'TLSv1.2 TLSv1.3'};\n"
        # Old versions are switched off below OpenSSL's security level 1.
        + ("    ssl_ciphers ALL:@SECLEVEL=0;\n" if protocols else "")
        + "    default_type text/plain;\n    location = /ping { return 200 Healthy; }\n"
        "    location / { return 404; }\n  }\n}\n"
    )
    return settings


def nameservers(machine_network_servers: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a machine asks: its network's servers, else the platform's resolver."""
    return machine_network_servers or (PLATFORM,)
