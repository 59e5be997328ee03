"""Asks what is known against the packages that are installed: ``make audit``.

The status is 0 if nothing is known against any, 1 if something is, and 3 if that could not be found out for all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

CLEAN, VULNERABLE, UNKNOWN = 0, 1, 3

#: Who is asked, one after the other, until one answers.
SERVICES = (["--vulnerability-service=pypi"], ["--vulnerability-service=osv"])


def main(arguments: Sequence[str] = ()) -> int:
    """Ask, print what was found, and return the status.

    :param arguments: for pip-audit, instead of :data:`SERVICES`.
    """
    for given in [list(arguments)] if arguments else SERVICES:
        packages = ask(given)
        if packages and not all("skip_reason" in package for package in packages):
            return tell(packages)
    print("No advisory service could be reached: nothing was audited.")
    return UNKNOWN


def ask(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing, if it could not ask."""
    options = ["--format=json", "--progress-spinner=off", "--skip-editable"]
    command = [sys.executable, "-m", "pip_audit", *options, *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return []
    return [package for package in packages if package.get("skip_reason") != "distribution marked as editable"]


def tell(packages: Sequence[dict[str, Any]]) -> int:
    """Print what is known; returns the status."""
    # A mirror that has no advisories makes pip-audit pass a package by, and succeed all the same.
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, vulnerability) for package in packages for vulnerability in package.get("vulns", ())]
    for package, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "none yet"
        print(f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}.")
    if skipped:
        print(f"Not audited: {', '.join(skipped)}.")
    print(f"{len(packages) - len(skipped)} packages were audited, with {len(found)} known vulnerabilities.")
    return VULNERABLE if found else UNKNOWN if skipped else CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
