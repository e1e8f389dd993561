"""`python -m containerlab_probes --serve`, or this file run by its path.

Run by its path in isolated mode (`python -I -S FILE`), which spares the agent the interpreter's site modules,
this package is found beside the file and nowhere else.
"""

import sys
from os.path import dirname

if not __package__:
    sys.path.insert(0, dirname(dirname(__file__)))

from containerlab_probes.agent import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
