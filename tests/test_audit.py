"""``make audit``, with an advisory service on this machine that answers as osv.dev does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.audit import CLEAN, UNKNOWN, VULNERABLE, main, tell

pytest.importorskip("pip_audit", reason="pip-audit is not installed")

KNOWN = {
    "id": "GHSA-0000-0000-0000",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "A hole.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "holey"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
            "versions": ["1.0"],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Knows of one package, of which one version has a hole."""

    def do_POST(self) -> None:
        query: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        holey = query["package"]["name"] == "holey" and query["version"] == "1.0"
        body = json.dumps({"vulns": [KNOWN]} if holey else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where packages are installed."""
    install(tmp_path, "whole", "2.0")
    return tmp_path


def install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def arguments(url: str, folder: Path) -> list[str]:
    return ["--vulnerability-service=osv", f"--osv-url={url}", f"--path={folder}", "--timeout=2"]


def test_packages_against_which_nothing_is_known_are_clean(
    service: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(folder, "holey", "1.1")
    assert main(arguments(service, folder)) == CLEAN
    assert capsys.readouterr().out == "2 packages were audited, with 0 known vulnerabilities.\n"


def test_a_known_hole_is_named_with_its_remedy(service: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(folder, "holey", "1.0")
    assert main(arguments(service, folder)) == VULNERABLE
    assert "holey 1.0: GHSA-0000-0000-0000, fixed in 1.1.\n" in capsys.readouterr().out


def test_a_package_whose_version_is_none_is_no_clean_one(service: str, folder: Path) -> None:
    # With pip 24.1 and newer, it keeps pip-audit from listing any package.
    install(folder, "odd", "no version")
    assert main(arguments(service, folder)) == UNKNOWN


def test_a_package_that_nobody_could_audit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"name": "whole", "version": "2.0", "vulns": []}
    odd = {"name": "odd", "skip_reason": "Dependency not found on PyPI and could not be audited: odd (1.0)"}
    assert tell([whole, odd]) == UNKNOWN
    assert capsys.readouterr().out == "Not audited: odd.\n1 packages were audited, with 0 known vulnerabilities.\n"


def test_without_a_service_one_line_says_that_nothing_was_audited(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("http://127.0.0.1:9/v1/query", folder)) == UNKNOWN
    assert capsys.readouterr().out == "No advisory service could be reached: nothing was audited.\n"
