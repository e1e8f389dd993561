"""`doctor`: predicts how a stop will go, and how to fix it. Changes and sends nothing."""

import argparse
from functools import partial

from containerlab_tui.commands import common
from containerlab_tui.doctor.diagnosis import by_trouble
from containerlab_tui.model.diagnosis import Diagnosis, Severity
from containerlab_tui.model.grace import grace_period
from containerlab_tui.present import doctor_documents, doctor_text
from containerlab_tui.present.safe_text import SafeText, safe, safe_block
from containerlab_tui.services import diagnosis as service


def run(arguments: argparse.Namespace) -> int:
    """Returns 0, or 1 for an error finding with --strict."""
    engine, history = common.engine(arguments), partial(service.recorded_stops, tell=common.tell_once())
    if arguments.all:
        diagnoses, unseen = service.doctor_all(engine, history)
        diagnoses = by_trouble(diagnoses)
        for sentence in (*unseen, *doctor_text.partly(diagnoses)):
            common.tell(safe(sentence))
        if arguments.json:
            common.answer(doctor_documents.documents(diagnoses, unseen))
        else:
            common.say(_table(diagnoses))
    else:
        diagnoses = (service.doctor(engine, arguments.name, history),)
        if arguments.json:
            common.answer(doctor_documents.document(diagnoses[0]))
        else:
            common.tell_partial(*diagnoses[0].partial)
            common.say(_page(diagnoses[0]))
    bad = any(finding.severity is Severity.ERROR for one in diagnoses for finding in one.findings)
    return 1 if arguments.strict and bad else 0


def _page(one: Diagnosis) -> SafeText:
    """Returns one container, for a person."""
    lines = [
        f"{safe(one.container)}: {doctor_text.headline(one)}",
        f"  stop       {one.signal} ({one.signal_source}), "
        f"grace period {grace_period(one.timeout_s)} ({one.timeout_source})",
        f"  delivery   {one.delivery}",
        f"  program    {one.program or 'not recognised'}",
        f"  graceful   {doctor_text.graceful(one)}",
    ]
    if took := doctor_text.duration(one):
        lines.append(f"  takes      {took}")
    lines += [f"  {'because' if not index else '':<9}  {safe(why, 500)}" for index, why in enumerate(one.evidence)]
    for index, process in enumerate(one.unreached):
        lines.append(
            f"  {'no signal' if not index else '':<9}  {process.container_pid:>5}  {safe(process.command, 80)}"
        )
    for finding in doctor_text.by_weight(one.findings):
        lines += ["", f"{finding.severity.upper()}  {finding.code}: {safe(finding.summary, 500)}"]
        lines += [f"    {safe(each, 500)}" for each in finding.evidence]
        lines += [f"    > {safe(each, 500)}" for each in doctor_text.fix_lines(finding.remedy)]
        lines.append(f"    see {finding.anchor}")
    return safe_block(lines)


def _table(diagnoses: tuple[Diagnosis, ...]) -> SafeText:
    """Returns the table of all containers, worst first."""
    rows = [
        (
            one.container,
            one.outlook,
            one.confidence,
            f"{one.signal} {grace_period(one.timeout_s)}",
            one.delivery,
            one.graceful,
            one.program or "—",
            " ".join(finding.code for finding in one.findings if finding.severity is not Severity.NOTE) or "—",
        )
        for one in diagnoses
    ]
    headings = ("NAME", "PREDICTION", "CONFIDENCE", "STOP", "DELIVERY", "GRACEFUL", "PROGRAM", "FINDINGS")
    return common.table(headings, rows)
