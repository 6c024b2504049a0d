"""The script for Windows, held to PowerShell's grammar: it was run on no Windows machine, so this much is certain."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tree_sitter import Node

tree_sitter = pytest.importorskip("tree_sitter")
tree_sitter_powershell = pytest.importorskip("tree_sitter_powershell")

TEXT: Final = (files("pytest_ampls.guest") / "gather.ps1").read_bytes()

READERS: Final = {
    "Get-ChildItem",
    "Get-Content",
    "Get-Date",
    "Get-DnsClientServerAddress",
    "Get-PSDrive",
    "Get-Process",
    "Test-Path",
}
IN_MEMORY: Final = {
    "ForEach-Object",
    "New-Object",
    "Select-Object",
    "Set-StrictMode",
    "Sort-Object",
    "Where-Object",
}
NETWORK: Final = {"Invoke-WebRequest"}
TYPES: Final = {
    *("[array]", "[byte[]]", "[char]", "[datetime]", "[int]", "[long]", "[regex]", "[string]", "[string[]]"),
    *("[switch]", "[void]", "[StringComparison]", "[Text.Encoding]", "[IO.File]", "[Net.Dns]"),
    *("[Net.HttpWebRequest]", "[Net.WebRequest]", "[Net.WebException]", "[Net.ServicePointManager]"),
    *("[Net.Sockets.SocketException]", "[Net.Security.RemoteCertificateValidationCallback]"),
    *("[Security.Authentication.SslProtocols]", "[Management.Automation.ItemNotFoundException]"),
}
MADE: Final = {
    *("Text.StringBuilder", "Net.WebProxy", "IO.StreamReader", "Net.Sockets.TcpClient"),
    "Net.Security.SslStream",
}
METHODS: Final = {
    *(
        "Add",
        "AddSeconds",
        "Append",
        "AppendFormat",
        "AuthenticateAsClient",
        "Close",
        "ConnectAsync",
        "Create",
    ),
    *(
        "GetBaseException",
        "GetBytes",
        "GetHostAddressesAsync",
        "GetResponse",
        "GetResponseStream",
        "GetStream",
    ),
    *("GetString", "IndexOf", "Matches", "ReadAllText", "ReadToEnd", "Replace", "StartsWith", "Substring"),
    *("ToLowerInvariant", "ToString", "ToUniversalTime", "Trim", "Wait"),
}


def nodes(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for child in node.children:
        yield from nodes(child)


def parsed(text: bytes) -> Node:
    """Return the tree of a script."""
    language = tree_sitter.Language(tree_sitter_powershell.language())
    root: Node = tree_sitter.Parser(language).parse(text).root_node
    return root


def source(node: Node) -> str:
    """Return what stands in a node."""
    return (node.text or b"").decode()


def texts(text: bytes, *kinds: str) -> list[str]:
    """Return what stands in the nodes of some kinds."""
    return [source(each) for each in nodes(parsed(text)) if each.type in kinds]


def faults(text: bytes) -> list[str]:
    """Return what a script has that this one must not have: each as a sentence."""
    found = ["not ASCII"] if not text.isascii() or b"\r" in text else []
    tree = parsed(text)
    found += [
        f"no PowerShell: {source(each)[:60]!r}" for each in nodes(tree) if each.is_error or each.is_missing
    ]
    found += [f"newer than 5.1: {each}" for each in texts(text, "pipeline_chain_tail")]
    own = set(texts(text, "function_name"))
    allowed = READERS | IN_MEMORY | NETWORK | own
    found += [f"command {name}" for name in texts(text, "command_name") if name not in allowed]
    found += [f"calls {each}" for each in texts(text, "command_name_expr") if each != "$say"]
    found += [f"type {each}" for each in texts(text, "type_literal") if each not in TYPES]
    found += [f"writes to {each}" for each in texts(text, "redirected_file_name") if each.strip() != "$null"]
    found += [f"calls .{name}()" for name in _methods(tree) if name not in METHODS]
    return found + [f"makes {name}" for name in _made(tree) if name not in MADE]


def _methods(tree: Node) -> Iterator[str]:
    for each in nodes(tree):
        if each.type == "invokation_expression":
            yield from (source(part) for part in each.children if part.type == "member_name")


def _made(tree: Node) -> Iterator[str]:
    for each in nodes(tree):
        if each.type == "command" and source(each).startswith("New-Object"):
            yield source(each).split()[1]


def test_it_is_powershell_that_only_reads() -> None:
    """It parses, is ASCII, and every command, type, method and redirection is one that reads."""
    assert faults(TEXT) == []
    assert {"Get-AmplsTokens", "Invoke-AmplsGather"} <= set(texts(TEXT, "function_name"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Remove-Item x", "command Remove-Item"),
        ("iex $x", "command iex"),
        ("Get-Date | Out-File x", "command Out-File"),
        ("Get-Date > x", "writes to"),
        ("[IO.File]::Delete('x')", "calls .Delete()"),
        ("[Diagnostics.Process]::Start('x')", "type [Diagnostics.Process]"),
        ("New-Object Net.WebClient", "makes Net.WebClient"),
        ("& $other", "calls $other"),
        (". 'x.ps1'", "calls "),
        ("Get-Date && Get-Date", "newer than 5.1"),
        ("$a = $b ? 1 : 2", "no PowerShell"),
        ("$a = $b ?? 1", "no PowerShell"),
        ("$a?.b", "no PowerShell"),
        ("if ($a) {", "no PowerShell"),
        ("'\u00e4'", "not ASCII"),
    ],
)
def test_what_does_not_only_read_is_found(line: str, said: str) -> None:
    """The check itself: a line of each kind that must not be there is noticed."""
    assert any(each.startswith(said) for each in faults(TEXT + f"{line}\n".encode()))


def test_it_only_defines_functions() -> None:
    """Nothing is done before the caller's last line: a script that arrives cut does nothing."""
    (statements,) = [each for each in parsed(TEXT).children if each.type == "statement_list"]
    first, *others = statements.children
    assert source(first) == "Set-StrictMode -Off"
    assert {each.type for each in others} == {"function_statement"}


def test_errors_are_kept_of_what_runs_to_its_end() -> None:
    """``Select-Object -First`` ends what stands before it by an error, which 5.1 keeps in the variable of errors.

    Source: PowerShell/PowerShell#9185, mended in 7.0.
    """
    kept = [each for each in texts(TEXT, "pipeline") if "-ErrorVariable" in each]
    assert kept
    assert not [each for each in kept if "Select-Object -First" in each]


def test_where_it_connects_to() -> None:
    """The metadata service, the pings of the handlers that were named, and port 443 of the names' addresses."""
    calls = [each for each in texts(TEXT, "command") if each.startswith("Invoke-WebRequest")]
    assert [each.rpartition(" ")[2] for each in calls] == ['"https://$name/ping"']
    assert all("-UseBasicParsing" in each and "-MaximumRedirection 0" in each for each in calls)
    assert TEXT.count(b"::Create(") == TEXT.count(b"[Net.WebRequest]::Create($url)") == 1
    assert (
        TEXT.count(b"http://") == TEXT.count(b"http://169.254.169.254/metadata/identity/oauth2/token?") == 1
    )
    assert TEXT.count(b"ConnectAsync(") == TEXT.count(b"ConnectAsync($Address, 443)") == 1


def test_every_part_has_its_function() -> None:
    """Each part of an answer is told by one function, and there is none besides."""
    from pytest_ampls.guest.script import PARTS

    clauses = {each.split()[0]: each.split()[2] for each in texts(TEXT, "switch_clause")}
    assert set(clauses) == set(PARTS)
    assert set(clauses.values()) <= set(texts(TEXT, "function_name"))
