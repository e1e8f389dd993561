"""Files of a container without the privileges that entering its namespaces needs."""

import subprocess
import sys

READ = """
import ctypes, os, sys
from containerlab_probes.client import unavailable_reason
from containerlab_probes.file_client import FileClient
from containerlab_probes.processes.identity import identify
if len(sys.argv) == 2:  # the next program has no CAP_SYS_ADMIN
    ctypes.CDLL(None).prctl(24, 21, 0, 0, 0)  # PR_CAPBSET_DROP; refused without root
    os.execv(sys.executable, (sys.executable, "-c", sys.argv[1], sys.argv[1], "again"))
me = identify(os.getpid())
client = FileClient(me, time_limit_s=60)
print(unavailable_reason(), client.read(me, sys.executable, 4), sep="\\n")
client.close()
"""


def test_an_agent_that_enters_no_namespace_needs_no_privilege() -> None:
    command = (sys.executable, "-c", READ, READ)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    reason, data = done.stdout.splitlines()
    assert "CAP_SYS_ADMIN" in reason
    assert data == repr(b"\x7fELF")
