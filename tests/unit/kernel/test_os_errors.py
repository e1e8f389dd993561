"""An errno is the same kind of error for every call."""

import errno
import os

import pytest

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, Unsupported
from containerlab_probes.kernel.files import read_text
from containerlab_probes.kernel.os_errors import NO_SUCH_OBJECT, failure


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (errno.ENOENT, Gone, "it does not exist, or no longer does"),
        (errno.ESRCH, Gone, "it does not exist, or no longer does"),
        (errno.ENODEV, Gone, "it does not exist, or no longer does"),
        (errno.EIDRM, Gone, "it does not exist, or no longer does"),
        (errno.EACCES, Denied, "it needs root (CAP_SYS_ADMIN and CAP_SYS_PTRACE); run this with sudo"),
        (errno.EPERM, Denied, "it needs root (CAP_SYS_ADMIN and CAP_SYS_PTRACE); run this with sudo"),
        (errno.ELOOP, BadRequest, "Too many levels of symbolic links"),
        (errno.EMFILE, Unsupported, "the limit of open files (ulimit -n) is reached"),
        (errno.EINVAL, Unsupported, "Invalid argument"),
        (errno.ENOSYS, Unsupported, "Function not implemented"),
        (errno.EIO, Unsupported, "Input/output error"),
    ],
)
def test_kinds_and_reasons(code: int, kind: type[ContainerlabError], reason: str) -> None:
    for error in (code, OSError(code, "")):
        made = failure(error, "read it")
        assert (type(made), str(made)) == (kind, f"Could not read it: {reason}.")


def test_the_caller_supplies_the_reasons() -> None:
    assert str(failure(errno.EPERM, "x", denied="because")) == "Could not x: because."
    assert str(failure(errno.ESRCH, "x", missing="it has exited")) == "Could not x: it has exited."
    assert str(failure(errno.ENOSYS, "x", unsupported="too old")) == "Could not x: too old."


def test_the_caller_chooses_the_errnos_for_gone() -> None:
    assert isinstance(failure(errno.EINVAL, "x", gone=NO_SUCH_OBJECT | {errno.EINVAL}), Gone)
    made = failure(errno.ENODEV, "x", gone=(), unsupported="the kernel has none")
    assert (type(made), str(made)) == (Unsupported, "Could not x: the kernel has none.")


def test_a_path_that_is_not_a_file_is_not_reported_as_exited() -> None:
    with pytest.raises(BadRequest):
        read_text("/proc/self/fdinfo")
    with pytest.raises(Gone, match="exited"):
        read_text(f"/proc/{2**22 + 1}/stat")
    assert read_text(f"/proc/{os.getpid()}/comm")
