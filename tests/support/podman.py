"""Recorded from Podman 5.4.2, shortened: GET /version, and lines of GET /events for a stop, a kill and a removal."""

import json
from typing import Any

from containerlab_tui.engine.lab_client import REGISTRY

VERSION: dict[str, Any] = {
    "Platform": {"Name": "linux/amd64/debian-12"},
    "Components": [
        {"Name": "Podman Engine", "Version": "5.4.2", "Details": {"APIVersion": "5.4.2", "MinAPIVersion": "4.0.0"}},
        {"Name": "Conmon", "Version": "conmon version 2.1.12, commit: unknown", "Details": {"Package": "Unknown"}},
        {"Name": "OCI Runtime (runc)", "Version": "runc version 1.1.15+ds1", "Details": {"Package": "Unknown"}},
    ],
    "Version": "5.4.2",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.24",
    "KernelVersion": "6.18.44",
}
ID = "5b3d21e7bc00418b023365ef0ed894ced010885535815b1ff7d09204dd2d4f71"
_IMAGE = f"{REGISTRY}/containerlab/dockerapp2:latest"


def _line(action: str, nanoseconds: int, **attributes: str) -> str:
    actor = {"ID": ID, "Attributes": {**attributes, "image": _IMAGE, "name": "x1", "podId": ""}}
    moment = {"scope": "local", "time": nanoseconds // 10**9, "timeNano": nanoseconds}
    head = {"status": action, "id": ID, "from": _IMAGE, "Type": "container", "Action": action}
    return json.dumps({**head, "Actor": actor, **moment})


START = _line("start", 1795667192071861515)
STOPPED = (
    _line("die", 1795667195444814884, containerExitCode="137", exitCode="137"),
    _line("cleanup", 1795667195521082554),
)
"""`podman stop -t 1` of a program that handles SIGTERM and stays: no `kill`, no `stop`."""
KILL = _line("kill", 1795667196963896126)
"""`podman kill -s HUP`: it names no signal."""
REMOVED = _line("remove", 1795667211957596081, containerExitCode="137")
