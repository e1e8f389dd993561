"""What the engine adds to the storage of a file: its names for mounts."""

from dataclasses import replace

import pytest

from containerlab_probes.memory_records import Backing, Storage
from containerlab_tui.model.inventory import MountPoint
from containerlab_tui.model.storage import as_the_engine_names_it

VOLUME = MountPoint("volume", "/d/volumes/v/_data", "/vol/")
BIND = MountPoint("bind", "/srv/c-id/x", "/etc/hosts")
LINKED = MountPoint("volume", "/d/volumes/w/_data", "/var/run/data")
TMPFS = MountPoint("tmpfs", "", "/scratch")
MOUNTS = (VOLUME, BIND, LINKED, TMPFS)
FOUND = Storage(Backing.BIND, "/d/volumes/v/_data/a/b", "ext4", "/vol")


@pytest.mark.parametrize(
    ("storage", "path", "backing"),
    [
        (FOUND, "/vol/a/b", Backing.VOLUME),
        (replace(FOUND, backing=None, host_path=None), "/vol/a/b", Backing.VOLUME),
        (
            replace(FOUND, backing=Backing.ENGINE, host_path="/srv/c-id/x", point="/etc/hosts"),
            "/etc/hosts",
            Backing.BIND,
        ),
        # A mount below the volume isn't the volume.
        (replace(FOUND, host_path="/d/volumes/v/_data/sub/b", point="/vol/sub"), "/vol/sub/b", Backing.BIND),
        # The target had a symbolic link: the source decides.
        (replace(FOUND, host_path="/d/volumes/w/_data/x", point="/run/data"), "/run/data/x", Backing.VOLUME),
        (replace(FOUND, host_path="/d/volumes/w/_data", point="/run/data"), "/run/data", Backing.VOLUME),
        (replace(FOUND, host_path="/d/volumes/other/_data/x", point="/run/data"), "/run/data/x", Backing.BIND),
        (replace(FOUND, backing=Backing.TMPFS, host_path=None, point="/scratch"), "/scratch/x", Backing.TMPFS),
        (replace(FOUND, backing=Backing.DELETED, host_path=None), "/vol/a/b", Backing.DELETED),
        (Storage(Backing.WRITABLE_LAYER, "/upper/x", "overlay", "/"), "/x", Backing.WRITABLE_LAYER),
        (Storage(Backing.ANONYMOUS_SHARED), "/dev/zero", Backing.ANONYMOUS_SHARED),
        (Storage(reason="why"), "/vol/a", None),
    ],
)
def test_the_kind_of_the_mount_is_the_engine_s(storage: Storage, path: str, backing: Backing | None) -> None:
    assert as_the_engine_names_it(storage, path, MOUNTS) == replace(storage, backing=backing)
    assert as_the_engine_names_it(storage, path, ()) == storage
