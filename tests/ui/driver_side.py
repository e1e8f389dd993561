"""A small UI on the program's terminal driver, for the tests of it: `python -m tests.ui.driver_side`."""

import sys
import time

from textual.app import App, ComposeResult
from textual.widgets import Static

from containerlab_tui.ui.driver import TerminalDriver


class Side(App[int]):
    """Hangs on h, lends the terminal on l, quits on q; counts how often it was resumed after SIGTSTP."""

    def __init__(self) -> None:
        super().__init__(TerminalDriver)
        self._resumed = 0

    def compose(self) -> ComposeResult:
        yield Static("the UI is here")

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, self._count)

    def _count(self, _app: App[object]) -> None:
        self._resumed += 1
        self.query_one(Static).update(f"the UI is here, resumed {self._resumed}")

    def key_h(self) -> None:
        while True:
            time.sleep(0.01)  # the UI hangs

    def key_l(self) -> None:
        with self.suspend():
            try:
                print("lent now", flush=True)
                time.sleep(1000)  # until a signal
            finally:
                print("taken back", flush=True)

    def key_q(self) -> None:
        self.exit(0)


if __name__ == "__main__":
    sys.exit(Side().run())
