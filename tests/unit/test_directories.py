"""The program's directories, which no other user may control."""

import os
import pwd
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, Denied
from containerlab_tui import directories


def test_directories_follow_the_variables(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path / "h")}
    state, runtime = directories.state_dir(environ=environ), directories.runtime_dir(environ=environ)
    assert (state, runtime) == (tmp_path / "s" / directories.NAME, tmp_path / directories.NAME)
    assert not state.exists()
    for make in (directories.state_dir, directories.runtime_dir):
        path = make(create=True, environ=environ)
        assert path.stat().st_mode & 0o777 == 0o700
        assert make(create=True, environ=environ) == path
    relative = {"XDG_STATE_HOME": "s", "HOME": str(tmp_path / "h")}
    assert directories.state_dir(environ=relative) == tmp_path / "h" / ".local/state" / directories.NAME


def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    own = tmp_path / directories.NAME
    own.symlink_to("/")
    with pytest.raises(BadRequest, match="not a directory"):
        directories.runtime_dir(create=True, environ=environ)
    own.unlink()
    own.mkdir()
    own.chmod(0o777)
    with pytest.raises(Denied, match="Other users can write"):
        directories.runtime_dir(environ=environ)
    own.chmod(0o755)
    uid = os.geteuid()
    if uid == 0:
        os.chown(own, 12345, -1)
        with pytest.raises(Denied, match="user 12345"):
            directories.runtime_dir(create=True, environ=environ)


def test_a_runtime_directory_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert directories.runtime_dir(environ={"XDG_RUNTIME_DIR": str(tmp_path)}).name == f"{directories.NAME}-54321"


STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of another user")


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """Returns the home of another user, as sudo names it where it keeps HOME, with a link planted in it."""
    home = tmp_path / "stranger"
    (home / ".local/state").mkdir(parents=True)
    (home / ".local/state" / directories.NAME).symlink_to(tmp_path / "target")
    (tmp_path / "target").mkdir()
    for each in (home, home / ".local", home / ".local/state"):
        os.chown(each, STRANGER, STRANGER)
    return home


@needs_root
@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME"])
def test_root_keeps_nothing_below_the_home_of_another_user(strangers: Path, variable: str) -> None:
    """`sudo -E` keeps both variables, plain sudo may keep HOME; with `sudo -H` it is root's own."""
    value = strangers if variable == "HOME" else strangers / ".local/state"
    own = Path(pwd.getpwuid(0).pw_dir)
    assert directories.state_dir(environ={variable: str(value)}) == own / ".local/state" / directories.NAME
    assert directories.state_dir(environ={"HOME": str(own)}) == own / ".local/state" / directories.NAME
    assert list((strangers.parent / "target").iterdir()) == []


@needs_root
def test_root_puts_no_socket_below_a_directory_of_another_user(strangers: Path) -> None:
    inner = strangers / "run"
    inner.mkdir(mode=0o700)  # it is root's, but its owner's directory can be exchanged
    runtime = directories.runtime_dir(environ={"XDG_RUNTIME_DIR": str(inner)})
    assert runtime == Path("/run") / directories.NAME
    link = strangers / "link"
    link.symlink_to("/var/lib")  # root's, but the link can be turned
    assert directories.runtime_dir(environ={"XDG_RUNTIME_DIR": str(link)}) == Path("/var/lib") / directories.NAME


@needs_root
@pytest.mark.parametrize("planted", ["link", "file", "directory", "mode", "above"])
def test_what_another_user_planted_is_not_used(tmp_path: Path, planted: str) -> None:
    base, target = tmp_path / "base", tmp_path / "target"
    base.mkdir()
    target.mkdir()
    path = base / "lab"
    match planted:
        case "link":
            path.symlink_to(target)
        case "file":
            path.touch()
        case "directory":
            path.mkdir(mode=0o700)
            os.chown(path, STRANGER, STRANGER)
        case "mode":
            path.mkdir()
            path.chmod(0o770)
        case _:
            path.mkdir(mode=0o700)
            os.chown(base, STRANGER, STRANGER)
    with pytest.raises((BadRequest, Denied)):
        directories.own(path, create=True)
    assert list(target.iterdir()) == []


@needs_root
def test_a_directory_that_everybody_can_write_to_is_not_used(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(Denied, match="above"):
        directories.own(base / "lab", create=True)
    base.chmod(0o1777)  # as /tmp: nobody can exchange what is another's
    assert directories.own(base / "lab", create=True).is_dir()
