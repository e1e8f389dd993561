"""Makes the facts of one container for the doctor's tests."""

from containerlab_probes.records import Dispositions, Process, ProcessId
from containerlab_probes.signals.names import number_of
from containerlab_tui.doctor.diagnosis import diagnose
from containerlab_tui.doctor.facts import Facts
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.inventory import Details

NOW = 1_000_000.0
TERM, INT, HUP = 15, 2, 1


def process(
    number: int,
    *argv: str,
    parent: int = 0,
    exe: str = "",
    caught: tuple[int, ...] = (),
    ignored: tuple[int, ...] = (),
    blocked: tuple[int, ...] = (),
    sigwait: tuple[int, ...] = (),
    foreground: tuple[int, ...] = (),
    age_s: float = 100.0,
    init: bool | None = None,
    state: str = "S",
    threads: int = 1,
) -> Process:
    """Process `number` of the container, on the host 1000 more; so are `parent` and `foreground`."""
    return Process(
        id=ProcessId(1000 + number, number),
        container_pid=number,
        parent_pid=1000 + parent if parent else 1,
        started_at=NOW - age_s,
        state=state,
        uid=0,
        user="root",
        name=(exe or argv[0]).rpartition("/")[2][:15],
        argv=argv,
        threads=threads,
        dispositions=Dispositions(
            caught=frozenset(caught),
            ignored=frozenset(ignored),
            blocked=frozenset(blocked),
            sigwait=frozenset(sigwait),
            foreground=tuple(1000 + one for one in foreground),
        ),
        exe=exe or f"/usr/bin/{argv[0].rpartition('/')[2]}",
        namespace_init=number == 1 if init is None else init,
    )


def details(signal: str = "SIGTERM", timeout_s: int = 10, **more: object) -> Details:
    fields: dict[str, object] = {
        "id": "c" * 64, "name": "box", "image": "image", "state": "running", "pid": 1001, "exit_code": 0,
        "oom_killed": False, "started_at": NOW - 1000, "finished_at": None, "argv": (), "tty": False,
        "stop_signal": signal, "stop_signal_source": "default", "stop_timeout_s": timeout_s,
        "stop_timeout_source": "default", "restart_policy": "no", "ipc_mode": "private", "pid_mode": "", "init": False,
        "shm_bytes": 0, "upper_dir": "",
    }  # fmt: skip
    return Details(**{**fields, **more})  # type: ignore[arg-type]


def facts(*processes: Process, signal: str = "SIGTERM", timeout_s: int = 10, **more: object) -> Facts:
    """Facts of a running container; `details` in `more` are overridden fields of inspect."""
    overridden = more.pop("details", {})
    assert isinstance(overridden, dict)
    files = more.pop("files", {})
    assert isinstance(files, dict)
    return Facts(
        details=details(signal, timeout_s, **overridden),
        signal=number_of(signal),
        processes=processes,
        now=NOW,
        files={(1000 + number, path): text for (number, path), text in files.items()},
        **more,  # type: ignore[arg-type]
    )


def diagnosed(*processes: Process, **more: object) -> Diagnosis:
    """Returns the doctor's diagnosis."""
    return diagnose(facts(*processes, **more))  # type: ignore[arg-type]


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}
