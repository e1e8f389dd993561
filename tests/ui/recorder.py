"""Records the data of the scripted feed: `python tests/ui/recorder.py SOCKET PREFIX > tests/ui/recorded.json`.

It needs containers whose names begin with PREFIX, among them PREFIX-dockerapp1, which it stops, starts, renames and
renames back. The prefix is left out of what it writes, and so are all other containers and the engine's data root.
"""

import json
import sys
import threading
from typing import cast

from containerlab_probes.codec import to_plain
from containerlab_tui.engine import http
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.events import EngineReader
from containerlab_tui.model.inventory import Changed, EngineRecord, Event
from containerlab_tui.services.processes import see_processes


def main(socket: str, prefix: str) -> None:
    engine = connect(f"unix://{socket}")
    lines = cast(
        list[dict[str, object]], http.get_json(Endpoint(engine.endpoint), "/containers/json?all=1", "list them")
    )
    lines = [line for line in lines if cast(list[str], line["Names"])[0].startswith(f"/{prefix}-")]
    inspected = {str(line["Id"]): engine.inspect_raw(str(line["Id"])) for line in lines}
    processes = {one: to_plain(see_processes(engine, engine.inspect(one))[0]) for one in inspected}
    document = {
        "lines": lines,
        "inspected": inspected,
        "processes": processes,
        "session": _session(f"{prefix}-dockerapp1", socket, set(inspected)),
    }
    text = json.dumps(document, indent=1, ensure_ascii=True).replace(f"{prefix}-", "")
    info = cast(dict[str, str], http.get_json(Endpoint(engine.endpoint), "/info", "describe it"))
    print(text.replace(info["DockerRootDir"], "/var/lib/docker"))


def _session(name: str, socket: str, ids: set[str]) -> list[object]:
    """The feed's records of a stop, a start and two renames."""
    records, done = list[EngineRecord](), threading.Event()

    def post(record: EngineRecord) -> None:
        records.append(record)
        if isinstance(record, Changed) and record.event.action == "rename" and record.event.name == name:
            done.set()

    feed = EngineReader(lambda: connect(f"unix://{socket}"), post)
    feed.start()
    engine = connect(f"unix://{socket}")
    engine.stop(name)
    engine.start(name)
    engine.rename(name, f"{name}-renamed")
    engine.rename(f"{name}-renamed", name)
    done.wait(20)
    feed.close()
    plain = list[object]()
    for record in records:
        if isinstance(record, Event | Changed):
            container = record.event.container if isinstance(record, Event) else record.id
            if container in ids:
                plain.append({"kind": type(record).__name__, "record": to_plain(record)})
    return plain


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
