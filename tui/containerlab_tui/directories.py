"""Directories of this program, by the XDG Base Directory Specification 0.8.

A directory is created only with `create`. None is used below a directory that another user controls (sudo may keep HOME
and the XDG variables of the user who called it): that user could swap it for a link while root writes there.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from containerlab_probes.errors import BadRequest, Denied

NAME = "containerlab-tui"


def config_file(environ: Mapping[str, str] | None = None) -> Path:
    """Returns the settings file, which need not exist: $XDG_CONFIG_HOME/containerlab-tui/config.toml."""
    return _xdg("XDG_CONFIG_HOME", ".config", environ) / NAME / "config.toml"


def state_dir(create: bool = False, environ: Mapping[str, str] | None = None) -> Path:
    """Returns the directory of this user's persistent data: $XDG_STATE_HOME/containerlab-tui.

    If another user controls that place, it is .local/state/containerlab-tui in the home directory of this user's
    account. Raises Denied if it belongs to another user or can't be created.
    """
    for base in (_xdg("XDG_STATE_HOME", ".local/state", environ), _account_home() / ".local/state"):
        if _is_trusted(base):
            return own(Path(os.path.realpath(base)) / NAME, create)
    raise Denied(f"Another user controls {base}; set XDG_STATE_HOME to a directory of yours.")


def runtime_dir(create: bool = False, environ: Mapping[str, str] | None = None) -> Path:
    """Returns the directory of this user's sockets, locks and pid files; no other user can write to it (mode 0700).

    It is $XDG_RUNTIME_DIR/containerlab-tui. If that variable is missing or names another user's directory (sudo keeps
    the variable), it is /run/containerlab-tui for root, and /run/user/UID/containerlab-tui or a directory in the
    temporary directory for others. Raises Denied if the directory belongs to another user or others can write to it,
    and BadRequest if it is a link or a file.
    """
    uid = os.geteuid()
    named = (os.environ if environ is None else environ).get("XDG_RUNTIME_DIR", "")
    for base in (named, "/run" if uid == 0 else f"/run/user/{uid}"):
        if base.startswith("/") and _owner(base) == uid and _is_trusted(Path(base)):
            return own(Path(os.path.realpath(base)) / NAME, create)
    import tempfile  # rarely needed, and it imports random and hashlib

    return own(Path(tempfile.gettempdir()) / f"{NAME}-{uid}", create)


def _xdg(variable: str, default: str, environ: Mapping[str, str] | None) -> Path:
    environ = os.environ if environ is None else environ
    value = environ.get(variable, "")
    if value.startswith("/"):  # the specification: relative paths must be ignored
        return Path(value)
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(home) / default


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


def _account_home() -> Path:
    import pwd  # rarely needed

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/nonexistent")


def _is_trusted(base: Path) -> bool:
    """Returns whether only root and this user can exchange a directory, or what may still be created above it."""
    real = Path(os.path.realpath(base))
    for each in (real, *real.parents):
        try:
            status = each.stat()
        except FileNotFoundError:
            continue
        except OSError:
            return False
        is_shared = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in (0, os.geteuid()) or is_shared:
            return False
    return True


def own(path: Path, create: bool) -> Path:
    """Returns the directory, created with mode 0700 if asked; refuses one that another user could control.

    Raises Denied, and BadRequest if it is a link or a file.
    """
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except FileNotFoundError:
        return path
    except FileExistsError:
        status = path.lstat()
    except OSError as error:
        raise Denied(f"Could not use {path} ({error.strerror}); make it a directory that you own.") from error
    if not stat.S_ISDIR(status.st_mode):
        raise BadRequest(f"{path} is not a directory (or is a link to one); remove it and try again.")
    if status.st_uid != os.geteuid():
        raise Denied(f"{path} belongs to user {status.st_uid}, not to you; remove it or set the XDG variables.")
    if status.st_mode & 0o022:
        raise Denied(f"Other users can write to {path}; run `chmod go-w` on it and try again.")
    if create and not _is_trusted(path):  # checked last: nobody can exchange what is above it any more
        raise Denied(f"Another user controls a directory above {path}; set the XDG variables to directories of yours.")
    return path
