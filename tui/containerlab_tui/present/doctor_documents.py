"""Converts diagnoses and predictions to the JSON documents of the command line. No I/O in this package."""

from collections.abc import Sequence

from containerlab_probes.records import Process
from containerlab_tui.model.diagnosis import Comparison, Diagnosis, Finding
from containerlab_tui.present import doctor_text
from containerlab_tui.present.documents import SCHEMA, Document
from containerlab_tui.present.safe_text import plain


def document(diagnosis: Diagnosis) -> Document:
    """Returns the JSON document of `doctor NAME`."""
    return {"schema": SCHEMA, **body(diagnosis)}


def documents(diagnoses: Sequence[Diagnosis], unseen: Sequence[str] = ()) -> Document:
    """Returns the JSON document of `doctor --all`; `unseen` names containers that could not be read, and why."""
    return {
        "schema": SCHEMA,
        "containers": [body(one) for one in diagnoses],
        "unread": [plain(one) for one in unseen],
        "partial": [plain(one) for one in (*unseen, *doctor_text.partly(diagnoses))],
    }


def body(diagnosis: Diagnosis) -> Document:
    """Returns the fields of one container."""
    return {
        "container": diagnosis.container,
        "stop": {
            "signal": diagnosis.signal,
            "signal_source": diagnosis.signal_source,
            "timeout_s": diagnosis.timeout_s,
            "timeout_source": diagnosis.timeout_source,
        },
        "delivery": diagnosis.delivery.value,
        "outlook": diagnosis.outlook.value,
        "graceful": diagnosis.graceful.value,
        "graceful_signal": diagnosis.graceful_signal,
        "confidence": diagnosis.confidence.value,
        "program": diagnosis.program or None,
        "takes_s": None if diagnosis.takes_s is None else round(diagnosis.takes_s, 1),
        "evidence": [plain(one) for one in diagnosis.evidence],
        "unreached": [_process(one) for one in diagnosis.unreached],
        "findings": [_finding(one) for one in diagnosis.findings],
        "partial": [plain(one) for one in diagnosis.partial],
    }


def _process(process: Process) -> Document:
    return {"pid": process.pid, "container_pid": process.container_pid, "command": plain(process.command)}


def _finding(finding: Finding) -> Document:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "summary": plain(finding.summary),
        "evidence": [plain(one) for one in finding.evidence],
        "remedy": plain(finding.remedy),
        "anchor": finding.anchor,
    }


def prediction(comparison: Comparison) -> Document:
    """Returns the field `prediction` of a stop's JSON document."""
    return {
        "outlook": comparison.outlook.value,
        "confidence": comparison.confidence.value,
        "happened": comparison.happened.value,
        "right": comparison.right,
    }
