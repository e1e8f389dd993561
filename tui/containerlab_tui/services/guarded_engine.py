"""An engine that refuses changes according to the policy. Screens and commands get no other."""

from containerlab_tui.engine.api import (
    AttachedStreams,
    Engine,
    EventStream,
    ExecRequest,
    ExecStreams,
    LogStream,
    RunRequest,
)
from containerlab_tui.model.inventory import Container, Details, EngineEvent, EngineVersion
from containerlab_tui.services.own_changes import OwnChanges
from containerlab_tui.services.policy import Operation, Policy


class GuardedEngine:
    """An `engine.api.Engine` that checks the policy before each change, and notes the changes that stop containers."""

    def __init__(self, engine: Engine, policy: Policy, changes: OwnChanges | None = None) -> None:
        """`changes` notes what is done, for a program that follows the engine's events."""
        self._engine = engine
        self.policy = policy
        self._changes = changes or OwnChanges()
        self.endpoint, self.local, self.product = engine.endpoint, engine.local, engine.product

    def clone(self) -> "GuardedEngine":
        return GuardedEngine(self._engine.clone(), self.policy, self._changes)

    def close(self) -> None:
        self._engine.close()

    # questions

    def version(self) -> EngineVersion:
        return self._engine.version()

    def containers(self) -> tuple[Container, ...]:
        return self._engine.containers()

    def container(self, container: str) -> Container | None:
        return self._engine.container(container)

    def inspect(self, container: str) -> Details:
        return self._engine.inspect(container)

    def inspect_raw(self, container: str) -> dict[str, object]:
        return self._engine.inspect_raw(container)

    def events(self, since: float | None = None) -> EventStream:
        return self._engine.events(since)

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        return self._engine.past_events(container, since)

    def images(self) -> tuple[str, ...]:
        return self._engine.images()

    def logs(
        self,
        container: str,
        follow: bool,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> LogStream:
        return self._engine.logs(container, follow, tail, since, timestamps)

    def wait(self, container: str, timeout_s: float) -> int:
        return self._engine.wait(container, timeout_s)

    # changes

    def start(self, container: str) -> None:
        self._require(Operation.START, f"start {container}")
        self._engine.start(container)

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        self._require(Operation.STOP, f"stop {container}")
        return self._engine.stop(container, timeout_s, signal)

    def kill(self, container: str, signal: str) -> None:
        self._require(Operation.SIGNAL, f"send {signal} to {container}")
        with self._changes.making(Operation.SIGNAL, container):
            self._engine.kill(container, signal)

    def restart(self, container: str, timeout_s: int | None = None) -> None:
        self._require(Operation.RESTART, f"restart {container}")
        with self._changes.making(Operation.RESTART, container):
            self._engine.restart(container, timeout_s)

    def pause(self, container: str) -> None:
        self._require(Operation.PAUSE, f"pause {container}")
        self._engine.pause(container)

    def unpause(self, container: str) -> None:
        self._require(Operation.PAUSE, f"resume {container}")
        self._engine.unpause(container)

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None:
        self._require(Operation.REMOVE, f"remove {container}")
        with self._changes.making(Operation.REMOVE, container):
            self._engine.remove(container, force, volumes)

    def rename(self, container: str, name: str) -> None:
        self._require(Operation.RENAME, f"rename {container}")
        self._engine.rename(container, name)

    def run(self, request: RunRequest) -> str:
        self._require(Operation.RUN, f"run {request.image}")
        return self._engine.run(request)

    def attach(self, container: str) -> AttachedStreams:
        self._require(Operation.ATTACH, f"attach to {container}")
        return self._engine.attach(container)

    def execute(self, container: str, request: ExecRequest) -> ExecStreams:
        self._require(Operation.ENTER, f"enter {container}")
        return self._engine.execute(container, request)

    def copy_into(self, container: str, local_file: str, directory: str) -> None:
        self._require(Operation.COPY, f"copy a file into {container}")
        self._engine.copy_into(container, local_file, directory)

    def _require(self, operation: Operation, what: str) -> None:
        self.policy.require(operation, what)
