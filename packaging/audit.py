"""Known security holes in the versions that requirements.lock pins, as pip-audit finds them.

    python packaging/audit.py requirements.lock

Ends with status 1 if a hole is known that another version has closed; one that none has closed yet is told only.
Without a network, or with an index that knows of no holes, it says that nothing was checked and ends with status 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def main(lock: str) -> int:
    """Runs pip-audit and prints what it found."""
    print("Asking for known holes in the pinned versions ...", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines, status = judge(done.stdout, done.stderr)
    print("\n".join(lines))
    return status


def judge(report: str, errors: str = "") -> tuple[list[str], int]:
    """What to print of pip-audit's JSON (and of its errors, if there is none), and the status to end with."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return [f"Known holes were NOT checked, pip-audit could not ask for them: {errors.strip()[-300:]}"], 0
    checked = [package for package in packages if "vulns" in package]
    if not checked:
        return ["Known holes were NOT checked: the package index here does not tell them."], 0
    holes = [(package, hole) for package in checked for hole in package["vulns"]]
    closed = [_line(package, hole) for package, hole in holes if hole["fix_versions"]]
    open_ones = [_line(package, hole) for package, hole in holes if not hole["fix_versions"]]
    told = f"{len(checked)} of {len(packages)} packages checked for known holes: {len(holes)} found."
    return [told, *closed, *open_ones, *(["Run `make lock`."] if closed else [])], int(bool(closed))


def _line(package: dict[str, Any], hole: dict[str, Any]) -> str:
    versions = ", ".join(hole["fix_versions"])
    remedy = f"closed in {versions}" if versions else "no version closes it yet"
    return f"  {package['name']} {package['version']}: {hole['id']}, {remedy}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
