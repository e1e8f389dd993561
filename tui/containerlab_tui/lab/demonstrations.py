"""The demonstration containers: one for each image, with fixed names, and one for bash as PID 1."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from containerlab_tui.lab.images import tag
from containerlab_tui.lab.parallel import in_parallel, lab_client
from containerlab_tui.lab.progress import Steps
from containerlab_tui.model.inventory import EXITED, HAS_PROCESSES

if TYPE_CHECKING:
    from containerlab_tui.engine.lab_client import LabClient

LABEL = "containerlab.demo"


@dataclass(frozen=True, slots=True)
class Demonstration:
    name: str
    image: str
    """The name of the folder."""
    command: tuple[str, ...] = ()
    tty: bool = False
    programs: tuple[tuple[str, ...], ...] = ()
    """Programs started inside one after the other; the last one keeps running."""
    exits_on_its_own: bool = False


DEMONSTRATIONS = (
    Demonstration("dockerapp1", "dockerapp1"),
    Demonstration("dockerapp2", "dockerapp2"),
    Demonstration("dockerapp3", "dockerapp3"),
    Demonstration("shell-form", "shell-form"),
    Demonstration("shell-bash", "shell-form", ("bash",), tty=True, programs=(("python3", "shell_form.py"),)),
    Demonstration("supervisor-v1", "supervisor-v1", exits_on_its_own=True),
    Demonstration("supervisor-v2", "supervisor-v2"),
    Demonstration("init-wrapped", "init-wrapped"),
    Demonstration("systemv-shm", "systemv-shm", programs=(("writer",), ("waiter",))),
    Demonstration("mmap-shm", "mmap-shm", programs=(("writer",), ("holder",))),
    Demonstration("scratch-static", "scratch-static"),
)


def ensure(endpoint: str, counted: Steps) -> None:
    """Makes sure that all run on that engine, which has the images. A stopped one is started, one from an older image
    is recreated. Raises BadRequest if a name is taken, Unreachable.
    """
    with lab_client(endpoint) as opened:
        made, built = opened.containers(LABEL), opened.images()

    def missing(each: Demonstration) -> bool:
        there = made.get(each.name)
        if there is None or there.image_id != built[tag(each.image)].id:
            return True
        return there.state not in (HAS_PROCESSES | {EXITED} if each.exits_on_its_own else HAS_PROCESSES)

    def have(own: "LabClient", each: Demonstration) -> None:
        there = made.get(each.name)
        if there is not None and there.image_id != built[tag(each.image)].id:
            own.remove(there.id)
            there = None
        container = there.id if there else own.make(each.name, tag(each.image), each.command, each.tty, LABEL)
        own.start(container)
        for program in each.programs:
            own.execute(container, program, detach=program == each.programs[-1])
        counted.done(f"container {each.name}")

    todo = [each for each in DEMONSTRATIONS if missing(each)]
    counted.skip(len(DEMONSTRATIONS) - len(todo), "containers")
    in_parallel(endpoint, todo, have)
