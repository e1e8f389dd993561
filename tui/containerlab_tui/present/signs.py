"""The signs of all screens: one meaning each, one cell wide, readable without colour."""

HANDLED = "◆"
TERMINATES = "†"
SUSPENDED = "‖"
RESUMES = "▸"
DELAYED = "…"
NO_EFFECT = "⊘"
MIXED = "~"
LIKELY = "≈"

IN_TIME = "✓"
KILLED = "✗"
RESTARTED = "↻"
SIGNALLED = "▼"
UNKNOWN = "?"

RUNNING = "●"
STOPPED = "○"
STARTING = "◌"
REMOVING = "–"
MARKED = "*"

SURVIVES = "■"
LOST = "□"

ERROR = "▲"
WARNING = "!"
NOTE = "·"

Legend = tuple[tuple[str, str, str], ...]
"""Sign, style, meaning."""

MAIN: Legend = (
    (HANDLED, "$text-success", "handled: the program decides what happens"),
    (TERMINATES, "$foreground", "default action: terminates the process"),
    (DELAYED, "$text-warning", "delayed: deferred handler or blocked signal"),
    (NO_EFFECT, "$text-error", "no effect: ignored, or discarded because PID 1 has no handler"),
    (UNKNOWN, "$text-muted", "unknown: could not be read"),
    (LIKELY, "$foreground", "before a word, likely: only root can read what makes it certain"),
    (f"{RUNNING} {SUSPENDED} {STOPPED}", "$foreground", "running, paused, stopped"),
    (f"{SURVIVES} {LOST}", "$foreground", "in the IPC and Files tabs: survives, is lost"),
    (MARKED, "$text-accent", "marked for a bulk action"),
)

DOCTOR: Legend = (
    (IN_TIME, "$text-success", "exits within the grace period"),
    (KILLED, "$text-error", "does not exit in time and is killed"),
    (UNKNOWN, "$text-muted", "unknown"),
    (f"{ERROR} {WARNING} {NOTE}", "$text-warning", "error, warning, note"),
    ("certain", "$foreground", "given by a kernel rule or a program without exceptions"),
    ("likely", "$foreground", "documented, found in the source, or seen before"),
    ("guess", "$foreground", "weak evidence"),
)

WATCH: Legend = (
    (RUNNING, "$text-success", "kernel trace running"),
    (STARTING, "$text-muted", "kernel trace starting"),
    (STOPPED, "$text-warning", f"kernel trace not available; the {WARNING} line says why"),
    (f"{WARNING} lost", "$text-error", "events lost: they arrived faster than they could be read"),
    ("7 name", "$foreground", "a process with its PID in the container"),
    ("name [7]", "$foreground", "host PID: a process outside the container, or its own PID is unknown"),
    ("— … —", "$text-accent", "container events"),
)

STOPS: Legend = (
    (SIGNALLED, "$text-warning", "a signal sent to the process"),
    ("─ ┈", "$text-accent", "a process that was signalled, that was not"),
    (IN_TIME, "$text-success", "exited on its own; of a process: with code 0"),
    (KILLED, "$text-error", "killed"),
    (RESTARTED, "$foreground", "restarted after its exit"),
    (WARNING, "$text-error", "the stop failed; of a process: exited with another code"),
    (UNKNOWN, "$text-muted", "exited; the code is unknown"),
    (DELAYED, "$text-muted", "a stop in progress"),
)

BYTES: Legend = (("▌ *", "$text-warning", "the line, the byte has changed since the last reading"),)
