"""The program's directories, which no other user may control."""

import os
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
