"""Starts an engine of the matrix in the foreground until Ctrl+C: `python -m tests.engines docker-26-containerd`."""

import argparse
import contextlib
import signal

from tests.engines import matrix, shared


def main() -> None:
    """Prints how to reach the engine and waits for SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("engine", choices=[each.name for each in matrix.ENGINES])
    parser.add_argument("--purge", action="store_true", help="remove the engine's data instead of starting it")
    arguments = parser.parse_args()
    engine = matrix.find(arguments.engine)
    folder = shared.prepare(engine)
    if arguments.purge:
        shared.purge(engine)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), shared.used(engine) as host:
        print(f"export DOCKER_HOST={host} DOCKER_BUILDKIT=0 PATH={folder}:$PATH", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
