"""Stops under way: each runs in a thread of its own and tells the stop screen; leaving the screen cancels nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_tui.present import wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.ui.background import attend, tell

if TYPE_CHECKING:
    from containerlab_tui.engine.api import LogStream
    from containerlab_tui.model.inventory import EngineEvent
    from containerlab_tui.model.stop import StopPlan, StopState
    from containerlab_tui.ui.app import ContainerlabApp
    from containerlab_tui.ui.dialogs.stop import StopChoice
    from containerlab_tui.ui.screens.stops import StopScreen


MOST_FOLLOWED = 48
"""Stops begun elsewhere are followed while so many are not under way: each has some threads and a trace."""
WORST_S = 15.0
"""How long after the grace period a stop is over at the latest (moby daemon/stop.go: 10 s, 2 s, and some)."""


class Stops:
    """All stops that this program saw, its own and those begun elsewhere."""

    def __init__(self, app: "ContainerlabApp") -> None:
        self._app = app
        self._screen: StopScreen | None = None
        self._under_way: set[str] = set()
        self._logs: set[str] = set()
        """Containers whose log is being read."""
        self._streams: dict[str, LogStream] = {}
        self._front = ""
        """The container whose stop was asked for last."""

    @property
    def seen(self) -> bool:
        """Whether there is anything to show."""
        return self._screen is not None

    def saw(self, container: str) -> bool:
        """Whether a stop of this container is on the screen of stops."""
        return self._screen is not None and container in self._screen.containers

    def under_way(self, container: str) -> bool:
        return container in self._under_way

    def show(self, container: str | None = None) -> None:
        """Open the stop screen, on this container's stop if one is named."""
        screen = self._screen
        if screen is None:
            return
        if container is not None:
            screen.choose(container)
            self._front = container
        if screen not in self._app.screen_stack:
            self._app.push_screen(screen)

    def begin(self, plans: "Sequence[StopPlan]", choice: "StopChoice | None") -> None:
        """Stop these containers as planned, with what was chosen instead, and open the screen."""
        from containerlab_tui.model.stop import begin

        for plan in [one if choice is None else _chosen(one, choice) for one in plans]:
            self._under_way.add(plan.container)
            self._made().show(begin(plan, self._app.clock()))
            self._run(plan)
        if plans:
            self.show(plans[0].container)

    def happened(self, event: "EngineEvent") -> None:
        """An engine event: it may be the first sign of a stop that something else began."""
        details = self._app.knowledge.details.get(event.container)
        if event.action != "kill" or details is None or event.container in self._under_way:
            return
        if len(self._under_way) >= MOST_FOLLOWED:
            return  # its row still says what becomes of it
        from containerlab_tui.services.history import History
        from containerlab_tui.services.stop import begins_stop, follow_stop, plan_stop

        if not begins_stop(event, details):
            return
        self._under_way.add(event.container)

        def work() -> "StopState":
            engine = self._app.engines.here()
            plan = replace(plan_stop(engine, event.container), begun_elsewhere=True)
            return follow_stop(engine, plan, event.time, self._tell, History())

        def failed(error: ContainerlabError) -> None:
            self._under_way.discard(event.container)
            if not isinstance(error, Gone):
                self._app.notify(str(error), severity="warning", markup=False)

        def done(state: "StopState") -> None:
            self._done(state)

        attend(self._app, work, done, failed)
        # `docker kill -s` looks just like the first phase of a stop; only that no second one follows tells.
        if details.stop_timeout_s >= 0:
            self._app.set_timer(details.stop_timeout_s + WORST_S, lambda: self._app.stop_moved(event.container, ""))

    def _run(self, plan: "StopPlan") -> None:
        from containerlab_tui.model.stop import failed_to_begin
        from containerlab_tui.services.history import History
        from containerlab_tui.services.stop import run_stop

        def failed(error: ContainerlabError) -> None:
            self._done(failed_to_begin(plan, self._app.clock(), str(error)))

        attend(self._app, lambda: run_stop(self._app.engines.here(), plan, self._tell, History()), self._done, failed)

    def _tell(self, state: "StopState") -> None:
        tell(self._app, lambda: self._take(state))

    def _take(self, state: "StopState") -> None:
        screen = self._made()
        new = state.plan.container not in screen.containers
        screen.show(state)
        if new and state.plan.begun_elsewhere and self._front:
            screen.choose(self._front)  # what somebody else does must not push aside what is being watched
        self._app.stop_moved(state.plan.container, "" if state.settled else _phase(state))
        self._follow_log(state)

    def _done(self, state: "StopState") -> None:
        self._under_way.discard(state.plan.container)
        self._take(state)
        stream = self._streams.get(state.plan.container)
        if stream is not None and state.ended_at is None:
            stream.close()  # the container runs on, and its log is no longer about a stop
        left = self._screen is not None and self._screen not in self._app.screen_stack
        if left and not state.plan.begun_elsewhere:
            from containerlab_tui.model.stop import explain

            sentences = explain(state)
            if sentences:
                self._app.notify(f"{safe_line(state.plan.name, 60)}: {safe_line(sentences[0], 300)}", markup=False)

    def _made(self) -> "StopScreen":
        if self._screen is None:
            from containerlab_tui.ui.screens.stops import StopScreen

            self._screen = StopScreen(self._app.clock)
            self._app.install_screen(self._screen, "stops")
        return self._screen

    def _follow_log(self, state: "StopState") -> None:
        """Read the container's log lines since the stop began, until the container or the stop has ended."""
        container = state.plan.container
        if state.settled or container in self._logs:
            return
        self._logs.add(container)

        def work() -> None:
            rest = b""
            stream = self._app.engines.here().clone().logs(container, True, None, state.began)
            self._streams[container] = stream
            for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                self._tell_lines(container, lines[-200:])
            if rest:
                self._tell_lines(container, [rest])

        def over(_: object) -> None:
            self._logs.discard(container)
            self._streams.pop(container, None)

        attend(self._app, work, over, over)

    def _tell_lines(self, container: str, lines: Sequence[bytes]) -> None:
        wording = [line.decode("utf-8", "replace") for line in lines]
        tell(self._app, lambda: self._made().add_log(wording, container))


def _phase(state: "StopState") -> str:
    """Where a stop under way is, in few words."""
    if state.died_at is not None:
        return ""
    if state.phase_2 is not None:
        return "stopping: killed"
    return f"stopping: {wording.period(state.plan.timeout_s)} of grace" if state.phase_1 is not None else "stopping"


def _chosen(plan: "StopPlan", choice: "StopChoice") -> "StopPlan":
    from containerlab_probes.signals.forecast import forecast
    from containerlab_tui.services.processes import children_of

    if choice.signal is not None:
        made = tuple(forecast(one, choice.signal, children_of(one, plan.processes)) for one in plan.processes)
        plan = replace(plan, signal=choice.signal, signal_source="request", forecasts=made)
    if choice.timeout_s is not None:
        plan = replace(plan, timeout_s=choice.timeout_s, timeout_source="request")
    return plan
