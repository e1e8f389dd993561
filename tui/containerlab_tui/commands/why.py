"""`why`: how a container that has stopped came to stop."""

import argparse

from containerlab_tui.commands import session
from containerlab_tui.core.documents import SCHEMA, moment
from containerlab_tui.core.ending import how_it_ended
from containerlab_tui.core.safe_text import safe
from containerlab_tui.services.history import History


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 also where two stories fit: that is an answer."""
    engine = session.engine(arguments)
    details = engine.inspect(arguments.name)
    remembered = History().of_container(details.id, limit=1)
    events = engine.past_events(details.id, since=details.started_at or 0.0)
    ending = how_it_ended(details, events, remembered[0] if remembered else None)
    if arguments.json:
        session.answer(
            {
                "schema": SCHEMA,
                "container": details.name,
                "cause": ending.cause,
                "sure": ending.sure,
                "sentence": ending.sentence,
                "evidence": list(ending.evidence),
                "exit_code": details.exit_code if details.finished_at else None,
                "finished": moment(details.finished_at),
            }
        )
        return 0
    print(safe(ending.sentence))
    for source in ending.evidence:
        print(f"  {safe(source)}")
    return 0
