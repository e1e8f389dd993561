"""`why`: explains why a container stopped."""

import argparse

from containerlab_tui.commands import common
from containerlab_tui.model.ending_records import Ending
from containerlab_tui.present.documents import SCHEMA, Document, moment
from containerlab_tui.present.safe_text import plain, safe
from containerlab_tui.services.ending import why
from containerlab_tui.services.history import History


def run(arguments: argparse.Namespace) -> int:
    """Returns 0, also if two explanations are possible."""
    name, ending = why(common.engine(arguments), arguments.name, History(tell=common.tell_once()))
    if arguments.json:
        before = None if ending.before is None else _body(ending.before)
        common.answer(
            {"schema": SCHEMA, "container": name, **_body(ending), "removed": ending.removed, "before": before}
        )
        return 0
    common.say(safe(ending.sentence))
    for source in ending.evidence:
        common.say(safe(f"  {source}"))
    for source in ending.before.evidence if ending.before else ():
        common.say(safe(f"  previous run: {source}"))
    return 0


def _body(ending: Ending) -> Document:
    return {
        "cause": ending.cause,
        "sure": ending.sure,
        "sentence": plain(ending.sentence),
        "evidence": [plain(one) for one in ending.evidence],
        "exit_code": ending.exit_code,
        "finished": moment(ending.finished_at),
    }
