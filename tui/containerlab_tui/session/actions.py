"""The registry of actions: name, keys, required selection, and the operation that each performs.

Bindings, the footer, help, the palette, confirmation, the settings file and the read-only gate use it. No I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from containerlab_tui.config import did_you_mean
from containerlab_tui.services.policy import Operation


class Scope(StrEnum):
    """The screen, tab or dialog that offers an action."""

    APP = "app"
    MAIN = "main"
    PROCESSES = "processes"
    IPC = "ipc"
    FILES = "files"
    LOGS = "logs"
    LOG_LINES = "log-lines"
    INSPECT = "inspect"
    GRID = "grid"
    CONTAINER_TABLE = "container-table"
    SIGNAL_LIST = "signal-list"
    FILTER = "filter"
    DOCTOR = "doctor"
    DOCTOR_TABLE = "doctor-table"
    SIGNAL_WATCH = "signal-watch"
    STOPS = "stops"
    BYTES = "bytes"
    HELP = "help"
    CONFIRM = "confirm"
    CHOICE = "choice"
    COPY_DIALOG = "copy-dialog"
    ENTER_DIALOG = "enter-dialog"
    ENTERING = "entering"
    OPENING = "opening"
    RENAME_DIALOG = "rename-dialog"
    RUN_DIALOG = "run-dialog"
    SAVE_DIALOG = "save-dialog"
    SIGNAL_DIALOG = "signal-dialog"
    STOP_DIALOG = "stop-dialog"


class Needs(StrEnum):
    """The selection that an action requires."""

    NOTHING = "nothing"
    CONTAINER = "container"
    RUNNING = "running"
    STOPPED = "stopped"
    STOPS = "stops"
    """This program has seen a stop."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a key."""

    scope: Scope
    id: str
    """Its name in the settings file: `container.stop`."""
    key: str
    """The default keys, with Textual's names, separated by commas."""
    does: str
    """The action's name and arguments in Textual's form: `tab('ipc')`."""
    name: str
    """One or two words for the footer."""
    text: str = ""
    """A line for help and the palette; empty: use the name."""
    needs: Needs = Needs.NOTHING
    changes: Operation | None = None
    """The operation that it performs; None if it changes nothing."""
    is_shown: bool = True
    """Whether the footer shows it."""
    has_priority: bool = False
    """Whether its key takes precedence over the focused widget."""
    key_display: str = ""


def _moves(scope: Scope, prefix: str, keys: dict[str, tuple[str, str, str]]) -> tuple[Action, ...]:
    """Returns actions that move a cursor, hidden from the footer: name -> (key, does, text)."""
    return tuple(
        Action(scope, f"{prefix}.{name}", key, does, text.lower(), text, is_shown=False)
        for name, (key, does, text) in keys.items()
    )


_HELP_TEXT = "Show all keys and signs"

ACTIONS: tuple[Action, ...] = (
    Action(Scope.APP, "app.quit-anywhere", "ctrl+q", "quit", "quit", "Quit (containers keep running)",
           is_shown=False, has_priority=True),
    Action(Scope.APP, "app.suspend", "ctrl+z", "suspend_process", "suspend", "Suspend; `fg` in the shell resumes",
           is_shown=False, has_priority=True),
    # the main screen
    Action(Scope.MAIN, "container.signal", "s", "signal", "signal", "Send a signal to the selected process",
           Needs.RUNNING, Operation.SIGNAL),
    Action(Scope.MAIN, "container.stop", "x", "stop", "stop", "Stop and watch both phases",
           Needs.RUNNING, Operation.STOP),
    Action(Scope.MAIN, "container.doctor", "d", "doctor", "doctor", "Predict how a stop will go, and how to fix it",
           Needs.RUNNING),
    Action(Scope.MAIN, "container.start", "S", "start", "start", "Start the container", Needs.STOPPED, Operation.START),
    Action(Scope.MAIN, "container.enter", "e", "enter", "enter", "Enter with a shell or a program (asks once)",
           Needs.RUNNING, Operation.ENTER),
    Action(Scope.MAIN, "container.enter-otherwise", "E", "enter_otherwise", "enter otherwise",
           "Ask again how to enter the container", Needs.RUNNING, Operation.ENTER, is_shown=False),
    Action(Scope.MAIN, "container.attach", "t", "attach", "attach", "Attach to its standard streams",
           Needs.RUNNING, Operation.ATTACH),
    Action(Scope.MAIN, "main.filter", "slash", "filter", "filter", "Filter by name, image, command or status"),
    Action(Scope.MAIN, "main.mark", "space", "mark", "mark", "Mark for a bulk action", Needs.CONTAINER),
    Action(Scope.MAIN, "app.help", "question_mark", "app.help", "help", _HELP_TEXT),
    Action(Scope.MAIN, "container.restart", "R", "restart", "restart", "Restart the container",
           Needs.CONTAINER, Operation.RESTART),
    Action(Scope.MAIN, "container.pause", "z", "pause", "pause/resume", "Pause or resume the container",
           Needs.RUNNING, Operation.PAUSE),
    Action(Scope.MAIN, "container.remove", "delete", "remove", "remove", "Remove the container",
           Needs.CONTAINER, Operation.REMOVE),
    Action(Scope.MAIN, "container.run", "n", "run", "new", "Run a new container from an image", changes=Operation.RUN),
    Action(Scope.MAIN, "container.rename", "N", "rename", "rename", "Rename the container",
           Needs.CONTAINER, Operation.RENAME, is_shown=False),
    Action(Scope.MAIN, "container.copy", "c", "copy", "copy into", "Copy a local file into the container",
           Needs.CONTAINER, Operation.COPY),
    Action(Scope.MAIN, "container.watch", "w", "watch", "watch signals", "Watch all signals in the container live",
           Needs.RUNNING),
    Action(Scope.MAIN, "main.stops", "W", "stops", "stops", "Show stops in progress and finished", Needs.STOPS),
    Action(Scope.MAIN, "main.doctor-all", "D", "doctor_all", "doctor all",
           "Predict stops for all running containers, worst first"),
    Action(Scope.MAIN, "main.ended", "a", "ended", "stopped", "Show/hide stopped containers"),
    Action(Scope.MAIN, "tab.processes", "p", "tab('processes')", "processes", "Show processes", is_shown=False),
    Action(Scope.MAIN, "tab.signals", "g", "tab('signals')", "signals", "Show signals", is_shown=False),
    Action(Scope.MAIN, "tab.ipc", "i", "tab('ipc')", "IPC", "Show IPC objects", is_shown=False),
    Action(Scope.MAIN, "tab.files", "f", "tab('files')", "files", "Show mapped files", is_shown=False),
    Action(Scope.MAIN, "tab.logs", "l", "tab('logs')", "logs", "Show the log", is_shown=False),
    Action(Scope.MAIN, "tab.inspect", "y", "tab('inspect')", "inspect", "Show the engine's details", is_shown=False),
    Action(Scope.MAIN, "main.back", "escape", "back", "back", "Leave the tab, clear the filter or the marks",
           is_shown=False),
    Action(Scope.MAIN, "main.again", "f5", "reread", "re-read", "Re-read the tab", is_shown=False),
    Action(Scope.MAIN, "app.quit", "q", "app.quit", "quit", "Quit (containers keep running)"),
    # its tabs
    Action(Scope.PROCESSES, "processes.signal-before", "left_square_bracket", "signal(-1)", "signal",
           "Show the previous signal's effect", key_display="[ ]"),
    Action(Scope.PROCESSES, "processes.signal-after", "right_square_bracket", "signal(1)", "next signal",
           "Show the next signal's effect", is_shown=False),
    Action(Scope.PROCESSES, "processes.sort", "o", "sort(1)", "sort",
           "Sort by the next column: tree, CPU, memory, descriptors, threads, read, written"),
    Action(Scope.PROCESSES, "processes.sort-back", "O", "sort(-1)", "sort back",
           "Sort by the previous column", is_shown=False),
    Action(Scope.IPC, "ipc.remove", "delete", "remove", "Remove", "Remove the object (asks first)",
           changes=Operation.IPC_REMOVE),
    Action(Scope.IPC, "ipc.limits", "v", "limits", "Limits", "Show/hide the namespace's limits"),
    Action(Scope.FILES, "files.private", "v", "private", "private", "Show/hide private mappings"),
    *_moves(Scope.LOG_LINES, "logs", {
        "up": ("k", "scroll_up", "Up"),
        "down": ("j", "scroll_down", "Down"),
        "last": ("G", "scroll_end", "Last line"),
    }),
    Action(Scope.LOGS, "logs.filter", "slash", "filter", "filter lines", "Show only lines that contain a text"),
    Action(Scope.LOGS, "logs.unfilter", "escape", "unfilter", "all lines", "Show all lines again", is_shown=False),
    Action(Scope.INSPECT, "inspect.search", "slash", "search", "search", "Search the document"),
    *_moves(Scope.INSPECT, "inspect", {
        "next": ("n", "next", "Next match"),
        "down": ("j", "tree('cursor_down')", "Down"),
        "up": ("k", "tree('cursor_up')", "Up"),
        "leave": ("escape", "leave", "Leave the search"),
    }),
    *_moves(Scope.GRID, "grid", {
        "up": ("up,k", "move(-1)", "One row up"),
        "down": ("down,j", "move(1)", "One row down"),
        "page-up": ("pageup", "page(-1)", "Page up"),
        "page-down": ("pagedown", "page(1)", "Page down"),
        "first": ("home", "edge(-1)", "First row"),
        "last": ("end,G", "edge(1)", "Last row"),
    }),
    Action(Scope.GRID, "grid.open", "enter", "open", "open", "Open the selected row"),
    Action(Scope.CONTAINER_TABLE, "main.filter", "slash", "screen.filter", "filter",
           "Filter by name, image, command or status", has_priority=True),
    Action(Scope.SIGNAL_LIST, "watch.filter", "slash", "screen.filter", "filter",
           "Filter: TERM, 15, exit, a PID, a program, -CHLD …", has_priority=True),
    Action(Scope.FILTER, "filter.leave", "enter", "leave", "to the list", is_shown=False, has_priority=True),
    # screens over the main screen
    Action(Scope.DOCTOR, "doctor.next", "j,down", "move(1)", "next", "Next finding, or scroll this one"),
    *_moves(Scope.DOCTOR, "doctor", {
        "previous": ("k,up", "move(-1)", "Previous finding"),
        "page-down": ("pagedown", "page(1)", "Page down"),
        "page-up": ("pageup", "page(-1)", "Page up"),
    }),
    Action(Scope.DOCTOR, "doctor.copy", "y", "copy", "copy fix", "Copy this finding's fix to the clipboard"),
    Action(Scope.DOCTOR, "doctor.stop", "x", "stop", "stop", "Stop the container and watch both phases",
           changes=Operation.STOP),
    *(
        action
        for scope in (Scope.DOCTOR, Scope.DOCTOR_TABLE)
        for action in (
            Action(scope, "doctor.again", "r,f5", "again", "check again", "Check again"),
            Action(scope, "doctor.leave", "escape,q", "leave", "back", "Back to the previous screen"),
            Action(scope, "app.help", "question_mark", "app.help", "help", _HELP_TEXT),
        )
    ),
    Action(Scope.SIGNAL_WATCH, "watch.leave", "escape,q", "leave", "leave", "Back (stops the trace)"),
    Action(Scope.SIGNAL_WATCH, "watch.filter", "slash", "filter", "filter",
           "Filter: TERM, 15, exit, a PID, a program, -CHLD …"),
    Action(Scope.SIGNAL_WATCH, "watch.pause", "space,p", "pause", "pause", "Pause the list (recording continues)"),
    Action(Scope.SIGNAL_WATCH, "watch.save", "S,ctrl+s", "save", "save", "Save the listed rows to a file (JSON lines)"),
    Action(Scope.SIGNAL_WATCH, "watch.clear", "c", "clear", "clear", "Clear all rows and counts"),
    *_moves(Scope.SIGNAL_WATCH, "watch", {
        "down": ("down,j", "move(1)", "Down"),
        "up": ("up,k", "move(-1)", "Up; stops following"),
        "page-down": ("pagedown", "page(1)", "Page down"),
        "page-up": ("pageup", "page(-1)", "Page up"),
        "first": ("home,g", "edge(False)", "First row"),
    }),
    Action(Scope.SIGNAL_WATCH, "watch.last", "end,G", "edge(True)", "follow", "Last row; follows"),
    Action(Scope.SIGNAL_WATCH, "app.help", "question_mark", "app.help", "help", _HELP_TEXT, is_shown=False),
    Action(Scope.STOPS, "stop.leave", "escape,q", "leave", "back", "Back (stops continue)"),
    Action(Scope.STOPS, "app.help", "question_mark", "app.help", "help", _HELP_TEXT, is_shown=False),
    Action(Scope.STOPS, "stop.previous", "left_square_bracket,h,left", "other(-1)", "Previous stop", is_shown=False),
    Action(Scope.STOPS, "stop.next", "tab,right_square_bracket,l,right", "other(1)", "next stop", "Next stop"),
    *_moves(Scope.STOPS, "stop", {
        "down": ("j,down", "scroll(1)", "Timeline down"),
        "up": ("k,up", "scroll(-1)", "Timeline up"),
    }),
    Action(Scope.BYTES, "bytes.leave", "escape,q", "leave", "back", "Back"),
    Action(Scope.BYTES, "app.help", "question_mark", "app.help", "help", _HELP_TEXT, is_shown=False),
    Action(Scope.BYTES, "bytes.read", "r", "again", "re-read", "Re-read and mark changes"),
    Action(Scope.BYTES, "bytes.jump", "colon,o", "jump", "go to offset", "Go to an offset"),
    Action(Scope.BYTES, "bytes.next", "pagedown,space", "page(1)", "next", "Next page"),
    Action(Scope.BYTES, "bytes.previous", "pageup,b", "page(-1)", "previous", "Previous page"),
    *_moves(Scope.BYTES, "bytes", {
        "down": ("down,j", "row(1)", "Down"),
        "up": ("up,k", "row(-1)", "Up"),
        "start": ("home,g", "edge(False)", "Start"),
        "end": ("end,G", "edge(True)", "End"),
    }),
    Action(Scope.HELP, "help.leave", "escape,q,question_mark,enter", "leave", "leave"),
    *_moves(Scope.HELP, "help", {"down": ("j,down", "scroll(1)", "Down"), "up": ("k,up", "scroll(-1)", "Up")}),
    # dialogs
    Action(Scope.CONFIRM, "confirm.no", "escape,n", "answer(False)", "No"),
    Action(Scope.CONFIRM, "confirm.yes", "y", "answer(True)", "Yes"),
    Action(Scope.CONFIRM, "confirm.other", "left,right,h,l", "other", "Other answer", is_shown=False),
    *_moves(Scope.CONFIRM, "confirm", {
        "down": ("down,j", "scroll(1)", "Names down"),
        "up": ("up,k", "scroll(-1)", "Names up"),
    }),
    Action(Scope.RENAME_DIALOG, "rename.leave", "escape", "leave", "Cancel"),
    Action(Scope.SAVE_DIALOG, "save.leave", "escape", "leave", "Cancel"),
    Action(Scope.COPY_DIALOG, "copy.leave", "escape", "leave", "Cancel"),
    Action(Scope.COPY_DIALOG, "copy.field", "up,down", "app.focus_next", "Other field", is_shown=False),
    Action(Scope.CHOICE, "choice.previous", "left", "choose(-1)", "Previous choice", is_shown=False),
    Action(Scope.CHOICE, "choice.next", "right,space", "choose(1)", "Next choice", is_shown=False),
    Action(Scope.ENTER_DIALOG, "enter.leave", "escape", "leave", "Cancel"),
    Action(Scope.ENTER_DIALOG, "enter.enter", "enter", "enter", "Enter"),
    Action(Scope.ENTER_DIALOG, "enter.previous", "up", "app.focus_previous", "Previous field", is_shown=False),
    Action(Scope.ENTER_DIALOG, "enter.next", "down", "app.focus_next", "Next field", is_shown=False),
    Action(Scope.ENTERING, "entering.leave", "escape", "leave", "Cancel"),
    Action(Scope.OPENING, "opening.leave", "escape", "leave", "Cancel"),
    Action(Scope.RUN_DIALOG, "run.leave", "escape", "leave", "Cancel"),
    Action(Scope.RUN_DIALOG, "run.run", "ctrl+r", "run", "Run"),
    Action(Scope.RUN_DIALOG, "run.previous", "up", "app.focus_previous", "Previous field", is_shown=False),
    Action(Scope.RUN_DIALOG, "run.next", "down", "app.focus_next", "Next field", is_shown=False),
    Action(Scope.SIGNAL_DIALOG, "picker.leave", "escape", "leave", "Cancel"),
    Action(Scope.SIGNAL_DIALOG, "picker.target", "tab", "target(1)", "Target", has_priority=True),
    Action(Scope.SIGNAL_DIALOG, "picker.target_back", "shift+tab", "target(-1)", "Target", is_shown=False,
           has_priority=True),
    *_moves(Scope.SIGNAL_DIALOG, "picker", {
        "up": ("up", "move(-1)", "Up"),
        "down": ("down", "move(1)", "Down"),
        "page_up": ("pageup", "move(-10)", "Page up"),
        "page_down": ("pagedown", "move(10)", "Page down"),
        "names_up": ("ctrl+up", "scroll(-1)", "Container names up"),
        "names_down": ("ctrl+down", "scroll(1)", "Container names down"),
    }),
    Action(Scope.STOP_DIALOG, "stop_dialog.leave", "escape", "leave", "Cancel"),
    Action(Scope.STOP_DIALOG, "stop_dialog.field", "up,down", "other_field", "Other field", is_shown=False),
    *_moves(Scope.STOP_DIALOG, "stop_dialog", {
        "down": ("pagedown", "scroll(5)", "Containers down"),
        "up": ("pageup", "scroll(-5)", "Containers up"),
    }),
)  # fmt: skip
"""All actions, in the order of footer and help."""

BY_ID: dict[str, Action] = {action.id: action for action in reversed(ACTIONS)}
"""The first action of each id: several screens share `app.help`."""


@cache
def of(scope: Scope) -> tuple[Action, ...]:
    """Returns the actions of a scope."""
    return tuple(action for action in ACTIONS if action.scope is scope)


def key_problems(keys: Mapping[str, str]) -> dict[str, str]:
    """Returns a sentence for each binding id of the settings file that can't be used, by id.

    `keys` is binding id -> keys, in the order of the file. Two actions that are offered in the same place must not
    share a key: of two entries the first one is kept.
    """
    problems = {
        id: f"unknown binding {id!r}{did_you_mean(id, BY_ID)}; press ? to see the ids."
        for id in keys
        if id not in BY_ID
    }
    usable = {id: each for id, each in keys.items() if id in BY_ID}
    while clash := _first_clash(usable):
        id, other, key = clash
        problems[id] = f"{id} and {other} are both on {key}. The default key of {id} is kept."
        del usable[id]
    return problems


def _first_clash(keys: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Returns two actions on one key, first the one whose entry is to be dropped, and the key."""
    order = list(keys)
    for id in keys:
        for scope in {action.scope: None for action in ACTIONS if action.id == id}:
            own = _keys_of(id, keys, scope)
            for other in of(scope):
                shared = own & _keys_of(other.id, keys, scope) if other.id != id else set()
                if shared:
                    is_later = other.id in keys and order.index(other.id) > order.index(id)
                    return (other.id, id, min(shared)) if is_later else (id, other.id, min(shared))
    return None


def _keys_of(id: str, keys: Mapping[str, str], scope: Scope) -> set[str]:
    default = next((action.key for action in of(scope) if action.id == id), "")
    return {_key_name(key) for key in keys.get(id, default).split(",")}


_KEY_NAMES = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Unicode's name -> textual's, where they differ."""


def _key_name(key: str) -> str:
    """Returns the name that textual gives a key: `question_mark` for `?`. It reads a single character as that name."""
    key = key.strip() or key[:1]
    if len(key) != 1 or key.isalnum():
        return key
    import unicodedata  # only for a settings file that sets keys

    name = unicodedata.name(key, key).lower().replace("-", "_").replace(" ", "_")
    return _KEY_NAMES.get(name, name)
