"""Asks pip-audit for known vulnerabilities of the installed packages; part of `make lint`.

Exit status 1 only for a vulnerability that was found. Without a network, or with an index that does not know a package,
it says what could not be checked and exits with 0, because the rest of `make lint` works offline.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMMAND = ("--skip-editable", "--progress-spinner", "off", "--timeout", "5", "--format", "json")
LIMIT_S = 120.0

Run = Callable[[], tuple[str, str]]


def ask() -> tuple[str, str]:
    """Runs pip-audit; returns its output and its error output."""
    program = str(Path(sys.executable).with_name("pip-audit"))
    try:
        done = subprocess.run((program, *COMMAND), capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return done.stdout, done.stderr


def report(output: str, errors: str) -> tuple[list[str], int]:
    """Returns the lines to print and the exit status."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = errors.strip().splitlines()[-1:] or ["it printed nothing"]
        return [f"audit: the packages were not checked: pip-audit could not ask ({reason[0][:200]})."], 0
    lines = [
        f"audit: {one['name']} {one['version']} has {each['id']}; fixed in {', '.join(each['fix_versions']) or 'none'}."
        for one in packages
        for each in one.get("vulns", ())
    ]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    note = [f"audit: {len(skipped)} of {len(packages)} packages were not checked: the index does not know them."]
    return lines + (note if skipped else []), 1 if lines else 0


def main(run: Run = ask) -> int:
    """Prints what pip-audit found; returns the exit status."""
    lines, status = report(*run())
    for line in lines:
        print(line, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
