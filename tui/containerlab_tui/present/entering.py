"""Sentences about entering a container."""

from collections.abc import Sequence

from containerlab_probes.records import Process
from containerlab_tui.model.entry import Entry, Way
from containerlab_tui.present.safe_text import safe_line

_NAMED = 5


def rights(entry: Entry, can_trace: bool = False) -> str:
    """Returns the rights that an entry gives, a sentence. `can_trace`: the container may have CAP_SYS_PTRACE."""
    if entry.way is Way.CONFINED:
        return "Runs with the container's own limits: its user, capabilities, seccomp filter and cgroup."
    files = "the host's files" if entry.host_files else "the container's files"
    if entry.full_rights:
        risk = f"Risk: runs as the host's root with all capabilities on {files}; what it starts can change the host."
    elif entry.host_files:
        risk = "Risk: runs as root on the host's files; only its capabilities and cgroup are the container's."
    else:
        risk = "Risk: runs as root with the container's capabilities, without its seccomp filter and AppArmor profile."
    if can_trace and entry.full_rights:
        return f"{risk[:-1]}, and so can the container (CAP_SYS_PTRACE)."
    if can_trace and not entry.host_files:
        return "Refused: the container may have CAP_SYS_PTRACE and take over what enters it; it needs full rights."
    return risk


def left_behind(processes: Sequence[Process], more: int = 0) -> str:
    """Returns a sentence about processes that a session left; empty if there are none. `more` could not be read."""
    count = len(processes) + more
    if not count:
        return ""
    named = [f"{safe_line(one.command, 40)} (host PID {one.pid})" for one in processes[:_NAMED]]
    rest = count - len(named)
    if rest:
        named.append(f"{rest} more" if named else f"{rest} that could not be read")
    return f"{'1 process is' if count == 1 else f'{count} processes are'} left: {', '.join(named)}."
