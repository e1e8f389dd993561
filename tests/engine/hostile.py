"""A container in which every name tries to control the terminal, and what text may contain that is shown."""

import io
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from docker import APIClient

from tests.support.docker import Containers, Docker

MARK = "66;6;66m"
"""Parameters of a colour that this program never sets."""
EVIL = (
    "\x1b]2;stolen\x07\x1b]52;c;c3RvbGVu\x07\x1b[2J\x1b[" + MARK + "\x1bP+q\x1b\\\x1b_apc\x1b\\\x1bc"
    "\x9b" + MARK + "\x9d2;stolen\x9c\x90\x7f\r\b\u202e\u2066\u200b\u2028\ufeff\U000e0041猫e\u0301"
    "[@click=app.quit]x[|] [red]"
)
"""7-bit and 8-bit sequences, invisible characters, a wide and a combining one, markup; no slash and no line feed."""
LINES = f"{EVIL}\n\tprinted by {EVIL}"
"""The same where a name may contain a newline."""
NOT_UTF_8 = b"raw\xff\x9b\x1b]2;stolen\x07"

PROGRAM = """
import ctypes, mmap, os, signal, subprocess, sys
evil, lines = sys.argv[1], sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)

def made(path, size):
    with open(path, "wb+") as file:
        file.write(b"\\x1b]2;stolen\\x07".ljust(size, b"x"))
        file.flush()
        return mmap.mmap(file.fileno(), size)

name = evil.encode()[:200]
maps = [made(b"/dev/shm/" + name, 4096), made(b"/dev/shm/sem." + name, 32), made(b"/srv/" + name, 4096),
        made(b"/dev/shm/" + bytes.fromhex(sys.argv[3]), 4096), made(b"/dev/shm/" + lines.encode()[:200], 4096)]
os.close(os.open(b"/dev/mqueue/" + name, os.O_CREAT | os.O_RDWR))
libc.shmat.restype = ctypes.c_void_p
at = libc.shmat(libc.shmget(4711, 4096, 0o1666), None, 0)
ctypes.memmove(at, evil.encode(), len(evil.encode()))
libc.semget(4712, 2, 0o1666)
libc.msgget(4713, 0o1666)
with open("/etc/passwd", "ab") as users:
    users.write(evil.encode().replace(b":", b"") + b":x:4242:4242::/:/bin/sh\\n")
waits = "import ctypes, signal, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0); signal.pause()"
child = subprocess.Popen([lines, "-c", waits, evil], executable=sys.executable, user=4242)
libc.prctl(15, b"\\x1b]2;st\\x07[/]\\xff", 0, 0, 0)
signal.signal(signal.SIGUSR1, lambda *_: None)
print(f"\\x1b[31mred\\x1b[0m {lines}", flush=True)
print("ready", flush=True)
while True:
    signal.pause()
"""


def unsafe(text: str) -> list[str]:
    """Returns the characters that control a terminal or are invisible, by their category in Unicode; not newlines."""
    return [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@contextmanager
def evil_image(docker: Docker) -> Iterator[str]:
    """Yields the tag of an image with a hostile label and variable."""
    tag = f"hostile:{uuid.uuid4().hex[:8]}"
    file = io.BytesIO(b'FROM containerlab/dockerapp1:latest\nARG TEXT\nENV IMAGE="$TEXT"\n')
    client = APIClient(docker.host)  # a Dockerfile can't quote such text
    try:
        list(client.build(fileobj=file, tag=tag, buildargs={"TEXT": LINES}, labels={f"label{LINES}": LINES}, rm=True))
        yield tag
        client.remove_image(tag, force=True)
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class Hostile:
    """Containers of the hostile image, by name."""

    program: str
    """A program with hostile objects, and a child that has a hostile name and user."""
    shell: str
    """A shell that doesn't forward signals to a program with a hostile path."""
    broken: str
    """Not started: the engine's error quotes a hostile user."""


def hostile_containers(container: Containers, image: str) -> Hostile:
    """Starts the containers."""
    label, end = (f"--label=own{LINES}={LINES}", f"--env=OWN={LINES}"), "--stop-timeout=1"
    names = [f"hos-{uuid.uuid4().hex[:6]}" for _ in range(3)]
    command = ("python3", "-c", PROGRAM, EVIL, LINES, NOT_UTF_8.hex())
    container(image, *command, options=(*label, end), name=names[0], ready="ready")
    script = 'cp /bin/sleep "/srv/$0"; "/srv/$0" 1000; echo'
    container(image, "sh", "-c", script, EVIL, options=(*label, end), name=names[1])
    container.made.append(names[2])
    container.docker("create", "--network=none", f"--user={EVIL.replace(':', '')}", f"--name={names[2]}", image)
    assert container.docker.run("start", names[2]).returncode
    return Hostile(*names)
