"""The command line of the lab: ``serve``, ``estates``, ``faults``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from pytest_ampls.lab.estate import estates
from pytest_ampls.lab.fault import faults
from pytest_ampls.lab.laboratory import Lab
from pytest_ampls.lab.logs.service import AUDIENCE
from pytest_ampls.lab.spec import LabError

__all__ = ["describe", "main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_ampls.lab",
        description="An embedded Azure Monitor private link estate: ARM over HTTPS, and DNS.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve an estate until it is interrupted")
    serve.add_argument(
        "spec",
        metavar="ESTATE[:key=value…][+FAULT…]",
        help="for example hub-and-spoke+missing-config-endpoint",
    )
    serve.add_argument(
        "--arm-port", type=int, default=0, metavar="N", help="HTTPS port (default: a free one)"
    )
    serve.add_argument(
        "--latency-ms", type=float, default=0.0, metavar="N", help="milliseconds added to every answer of ARM"
    )
    serve.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="write the connection data as JSON there, once it serves",
    )
    commands.add_parser("estates", help="list the estates")
    listing = commands.add_parser("faults", help="list the faults")
    listing.add_argument("--json", action="store_true", help="as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (2 for what the user got wrong)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "estates":
            return _list_estates()
        if options.command == "faults":
            return _list_faults(as_json=options.json)
        if options.latency_ms < 0:
            raise LabError(f"--latency-ms={options.latency_ms:g} is negative")
        return _serve(options)
    except (LabError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


def _list_estates() -> int:
    for name, title in estates().items():
        print(f"{name:16} {title}")
    return 0


def _list_faults(*, as_json: bool) -> int:
    if as_json:
        rows = [
            {
                "name": fault.name,
                "kind": fault.kind,
                "title": fault.title,
                "breaks": list(fault.breaks),
                "excuses": list(fault.excuses),
                "estates": list(fault.estates),
                "argument": fault.argument,
                "expects": [list(expected) for expected in fault.expects],
            }
            for fault in faults().values()
        ]
        print(json.dumps(rows, indent=2))
        return 0
    kind = ""
    for fault in faults().values():
        if fault.kind != kind:
            kind = fault.kind
            print(f"{kind} faults")
        name = fault.name if fault.argument is None else f"{fault.name}[=…]"
        wishes = [f"where {rule} is to be {value}" for rule, _, value in fault.expects]
        rules = f" ({', '.join((*fault.breaks, *wishes))})" if fault.breaks else ""
        print(f"  {name:34} {fault.title}{rules}")
    return 0


def describe(lab: Lab) -> str:
    """Return how to point clients at a started lab, as lines that can be pasted into a shell."""
    resolvers = " ".join(f"--ampls-resolver={view.name}={view.address}:{view.port}" for view in lab.views)
    subscriptions = " ".join(f"--ampls-subscription={subscription}" for subscription in lab.subscriptions)
    lines = [
        f"Serving {lab.spec} at {lab.arm_endpoint}",
        "",
        "# The secret below is throw-away: random for this run, good for this lab only.",
        f"export AZURE_AUTHORITY_HOST={lab.authority}",
        f"export AZURE_TENANT_ID={lab.tenant_id}",
        f"export AZURE_CLIENT_ID={lab.client_id}",
        f"export AZURE_CLIENT_SECRET={lab.client_secret}",
        f"export REQUESTS_CA_BUNDLE={lab.ca_bundle}",
        "",
        "# az (in a configuration of its own, so that your sign-in stays as it is)",
        "export AZURE_CONFIG_DIR=$(mktemp -d) AZURE_CORE_INSTANCE_DISCOVERY=false"
        " AZURE_CORE_COLLECT_TELEMETRY=false",
        f"az cloud register --name ampls-lab --endpoint-resource-manager {lab.arm_endpoint}"
        f" --endpoint-active-directory {lab.authority}"
        " --endpoint-active-directory-resource-id https://management.core.windows.net/"
        f" --endpoint-active-directory-graph-resource-id {lab.arm_endpoint}/graph/",
        "az cloud set --name ampls-lab",
        # With "=": a random secret may begin with a dash, and would be taken for an option.
        'az login --service-principal --username "$AZURE_CLIENT_ID" --password="$AZURE_CLIENT_SECRET"'
        ' --tenant "$AZURE_TENANT_ID"',
        "",
    ]
    if lab.views:
        lines.append("# DNS, as seen from each VNet")
        lines += [
            f"dig @{view.address} -p {view.port} api.monitor.azure.com  # {view.name}" for view in lab.views
        ]
        lines.append("")
    workspaces = lab.estate.of_type("Microsoft.OperationalInsights/workspaces")
    if workspaces:
        lines.append(
            "# Log Analytics: what arrives in each workspace (an SDK takes the URL without /v1 as its endpoint)"
        )
        lines += [_query_line(lab, found["properties"]["customerId"], found["name"]) for found in workspaces]
        lines.append("")
    lines += [
        "# pytest",
        f"pytest --pyargs pytest_ampls.conformance {subscriptions} --ampls-arm-endpoint={lab.arm_endpoint}"
        f" --ampls-ca-bundle={lab.ca_bundle} {resolvers}".rstrip(),
        "",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def _query_line(lab: Lab, customer: str, name: str) -> str:
    query = "Heartbeat | summarize max(TimeGenerated) by Computer"
    return (
        f"az rest --method post --resource {AUDIENCE}"
        f" --url {lab.log_analytics_endpoint}/v1/workspaces/{customer}/query"
        f""" --body '{{"query": "{query}"}}'  # {name}"""
    )


def _connection(lab: Lab) -> dict[str, object]:
    return {
        "spec": lab.spec,
        "arm_endpoint": lab.arm_endpoint,
        "log_analytics_endpoint": lab.log_analytics_endpoint,
        "authority": lab.authority,
        "ca_bundle": str(lab.ca_bundle),
        "tenant_id": lab.tenant_id,
        "client_id": lab.client_id,
        "client_secret": lab.client_secret,
        "subscriptions": list(lab.subscriptions),
        "views": [
            {
                "name": view.name,
                "virtual_network_id": view.virtual_network_id,
                "address": view.address,
                "port": view.port,
            }
            for view in lab.views
        ],
    }


def _write_ready_file(path: Path, lab: Lab) -> None:
    """Write the file in one step: whoever waits for it never sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(_connection(lab), file, indent=2)
    os.replace(name, path)


def _serve(options: argparse.Namespace) -> int:
    finished = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: finished.set())
    lab = Lab.from_spec(options.spec, latency=options.latency_ms / 1000, arm_port=options.arm_port)
    with lab:
        print(describe(lab), flush=True)
        if options.ready_file is not None:
            _write_ready_file(options.ready_file, lab)
        # Short waits: on Windows a signal does not wake up a wait without end.
        while not finished.wait(timeout=0.5):
            pass
    print("stopped")
    return 0
