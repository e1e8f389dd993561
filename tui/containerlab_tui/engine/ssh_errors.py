"""What a failed ssh connection means, from ssh's exit status and messages. No I/O.

ssh exits with 255 for its own failures, else with the status of the remote command; a shell that does not find the
command has 127 (man 1 ssh, man 1 sh). OpenSSH's messages are not translated into other languages.
"""

import re
from collections.abc import Callable, Sequence

from containerlab_probes.errors import ContainerlabError, Denied, Unreachable, Unsupported
from containerlab_probes.safe_text import safe_line
from containerlab_tui.engine.errors import LoginRefused

SSH_FAILED, NOT_EXECUTABLE, NOT_FOUND = 255, 126, 127
_NOISE = re.compile(r"Warning: Permanently added|Pseudo-terminal will not|Host key verification failed|@@@|debug\d:")
_METHODS = re.compile(r"Permission denied \(([^)]*)\)")
_ASKED_FOR = ("password", "keyboard-interactive")

Example = Callable[..., str]
"""Returns an ssh command line to the same host with these words."""


def not_started(url: str, error: OSError) -> ContainerlabError:
    """Returns the error for an ssh that could not be started."""
    if isinstance(error, FileNotFoundError):
        return Unreachable(f"Could not connect to {url}: ssh is not installed; install openssh-client.")
    return Unreachable(f"Could not connect to {url}: ssh could not be started ({error.strerror or error}).")


def ended(url: str, example: Example, status: int, said: bytes, *, answered: bool) -> ContainerlabError:
    """Returns the error for an ssh that exited with a status other than 0; `answered`: bytes had come before."""
    text = said.decode("utf-8", "replace").replace("\r", "")
    last = _last_line(text)
    if answered:
        how = f" ({last})" if last else ""
        return Unreachable(f"The ssh connection to {url} died{how}.")
    if status == SSH_FAILED:
        return _of_ssh(url, example, text, last)
    if status in (NOT_EXECUTABLE, NOT_FOUND):
        return Unreachable(
            f"{url} has no docker command. Install Docker's client there; `{example('docker', 'version')}` must work."
        )
    return _of_docker(url, example, status, text, last)


def _of_ssh(url: str, example: Example, text: str, last: str) -> ContainerlabError:
    if "HOST IDENTIFICATION HAS CHANGED" in text:
        return Unreachable(
            f"The host key of {url} is not the known one: somebody may be intercepting the connection, or the host was "
            f"reinstalled. Find out which; `{example()}` names the line of the old key."
        )
    if "Host key verification failed" in text:
        return Unreachable(
            f"The host key of {url} is not known. Run `{example()}` once, compare the key and accept it."
        )
    if found := _METHODS.search(text):
        if any(method in found[1].split(",") for method in _ASKED_FOR):
            return LoginRefused(
                f"{url} accepts none of your keys and asks for a password, which cannot be typed here. Set up a key "
                f"(ssh-copy-id); a key with a passphrase needs an agent (ssh-add)."
            )
        return LoginRefused(f"{url} accepts none of your keys. A key with a passphrase needs an agent (ssh-add).")
    reason = last or f"`{example('docker', 'version')}` may say more"
    return Unreachable(f"Could not connect to {url}: {reason}.")


def _of_docker(url: str, example: Example, status: int, text: str, last: str) -> ContainerlabError:
    if "permission denied" in text.lower():
        return Denied(f"No permission to open the engine's socket on {url}. Join the group that owns the socket there.")
    if re.search(r"is not a docker command|unknown command|unrecognized command", text):
        return Unsupported(f"The docker command on {url} is too old for ssh://; Docker 18.09 or newer is needed there.")
    if re.search(r"Cannot connect to the Docker daemon|daemon running|dial unix|connection refused", text, re.I):
        return Unreachable(f"No Docker engine answers on {url}: ssh and docker work there, but the daemon does not.")
    reason = last or f"`docker system dial-stdio` exited with status {status}"
    return Unreachable(f"Could not connect to {url}: {reason}. `{example('docker', 'version')}` may say more.")


def _last_line(text: str) -> str:
    """Returns the last line that says something, without a full stop; empty if there is none."""
    lines: Sequence[str] = [line.strip() for line in text.split("\n")]
    found = next((line for line in reversed(lines) if line and not _NOISE.search(line)), "")
    return safe_line(found.rstrip("."), 300)
