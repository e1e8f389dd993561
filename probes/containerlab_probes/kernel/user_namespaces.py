"""Forbids new user namespaces to the calling process and its descendants, with a seccomp filter (man 2 seccomp).

In a user namespace that it creates, a process has all capabilities, so it reaches parts of the kernel that its bounding
set keeps from it. Docker's default filter forbids that too (moby profiles/seccomp/default.json); Podman's doesn't.
"""

import ctypes
import errno
import struct
from typing import NamedTuple

from containerlab_probes.kernel.libc import last_failure, libc

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CLONE_NEWUSER = 0x10000000
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
"""BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K (include/uapi/linux/bpf_common.h)."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data, on a little-endian machine (include/uapi/linux/seccomp.h)."""
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000


class _Calls(NamedTuple):
    architecture: int
    """AUDIT_ARCH_… (include/uapi/linux/audit.h)"""
    unshare: int
    clone: int
    clone3: int = 435


_CALLS = (
    _Calls(0xC000003E, 272, 56),  # x86_64
    _Calls(0x40000003, 310, 120),  # i386
    _Calls(0xC00000B7, 97, 220),  # aarch64
    _Calls(0x40000028, 337, 120),  # arm
)
"""A process of another architecture is not filtered."""


def forbid_user_namespaces() -> None:
    """Makes unshare(2) and clone(2) fail with EPERM for CLONE_NEWUSER, forever.

    clone3(2) fails with ENOSYS, since a filter can't see its flags; C libraries then use clone. Raises `Denied` without
    CAP_SYS_ADMIN in the user namespace.
    """
    program = _program()
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program, 0, 0) != 0:
        raise last_failure("forbid user namespaces")


def _program() -> bytes:
    instructions = [_instruction(_LOAD, _ARCHITECTURE)]
    for calls in _CALLS:
        block = (
            _instruction(_LOAD, _NUMBER),
            _instruction(_ANY_BIT, _X32_BIT, then=7),
            _instruction(_EQUAL, calls.clone3, then=7),
            _instruction(_EQUAL, calls.unshare, then=2),
            _instruction(_EQUAL, calls.clone, then=1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(_ANY_BIT, _CLONE_NEWUSER, then=1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _REFUSE | errno.EPERM),
            _instruction(_RETURN, _REFUSE | errno.ENOSYS),
        )
        instructions += [_instruction(_EQUAL, calls.architecture, otherwise=len(block)), *block]
    return b"".join((*instructions, _instruction(_RETURN, _ALLOW)))


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """Returns one struct sock_filter; `then` and `otherwise` are how many instructions a jump skips."""
    return struct.pack("=HBBI", code, then, otherwise, value)
