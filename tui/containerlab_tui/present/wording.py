"""Words and signs for effects of signals, sizes and times, shared by all screens.

A sign never stands alone, and a colour never carries a meaning that no sign or word has.
"""

import time
from collections import Counter
from collections.abc import Sequence

from containerlab_probes.records import Delivery, Effect, Forecast
from containerlab_probes.signals.names import SIGKILL
from containerlab_tui.present import signs

SIGSTOP = 19

_SIGNS = {
    Effect.PROGRAM_DECIDES: signs.HANDLED,
    Effect.TERMINATES: signs.TERMINATES,
    Effect.DUMPS_CORE: signs.TERMINATES,
    Effect.STOPS: signs.SUSPENDED,
    Effect.CONTINUES: signs.RESUMES,
    Effect.NOTHING: signs.NO_EFFECT,
    Effect.UNKNOWN: signs.UNKNOWN,
}

_DELIVERIES = {
    Delivery.HANDLER: "handled: the program decides",
    Delivery.SIGWAIT: "handled (sigwait): the program decides",
    Delivery.SIGNALFD: "handled (signalfd): the program decides",
    Delivery.IGNORED: "ignored by the program",
    Delivery.DROPPED: "discarded: PID 1 has no handler",
    Delivery.DEFERRED: "handled, but deferred until the child exits",
    Delivery.PENDING: "blocked: stays pending",
    Delivery.UNKNOWN: "unknown",
}

_DEFAULTS = {
    Effect.TERMINATES: "default action: terminates the process",
    Effect.DUMPS_CORE: "default action: terminates with a core dump",
    Effect.STOPS: "default action: suspends until SIGCONT",
    Effect.CONTINUES: "default action: resumes if suspended",
    Effect.NOTHING: "default action: no effect",
}

SOURCES = {
    "request": "chosen here",
    "container": "set by the container or its image",
    "default": "Docker's default",
}
"""The source of a stop signal or a grace period."""

_SHORT = {
    Delivery.HANDLER: "handled",
    Delivery.SIGWAIT: "handled",
    Delivery.SIGNALFD: "handled",
    Delivery.IGNORED: "ignored",
    Delivery.DROPPED: "discarded",
    Delivery.DEFERRED: "deferred",
    Delivery.PENDING: "blocked",
    Delivery.UNKNOWN: "unknown",
}

_SHORT_DEFAULTS = {
    Effect.TERMINATES: "exits",
    Effect.DUMPS_CORE: "core dump",
    Effect.STOPS: "suspends",
    Effect.CONTINUES: "resumes",
    Effect.NOTHING: "no effect",
}


def is_fatal(forecast: Forecast | None) -> bool:
    """Returns whether the signal itself terminates the process, whatever the program does."""
    return forecast is not None and forecast.effect in (Effect.TERMINATES, Effect.DUMPS_CORE)


def glyph(forecast: Forecast | None) -> str:
    """Returns the sign for a signal's effect, one cell wide."""
    if forecast is None:
        return signs.UNKNOWN
    return signs.DELAYED if forecast.delivery in (Delivery.DEFERRED, Delivery.PENDING) else _SIGNS[forecast.effect]


def words(forecast: Forecast | None) -> str:
    """Describes a signal's effect, in at most 53 cells."""
    if forecast is None:
        return "unknown: the process can't be seen"
    return f"{_certain_words(forecast)}, likely" if forecast.likely else _certain_words(forecast)


def _certain_words(forecast: Forecast) -> str:
    if forecast.signal == SIGKILL and is_fatal(forecast):
        return "kills at once: can't be handled"
    if forecast.signal == SIGSTOP and forecast.effect is Effect.STOPS:
        return "suspends until SIGCONT: can't be handled"
    if forecast.delivery is Delivery.DEFAULT:
        return _DEFAULTS.get(forecast.effect, "default action")
    return _DELIVERIES[forecast.delivery]


def delivery(one: Delivery) -> str:
    """Describes a disposition, in at most 45 cells."""
    return _DELIVERIES.get(one, "default action: no handler")


def short(forecast: Forecast | None) -> str:
    """Describes a signal's effect in one or two words, for a column: `handled`, `discarded`, `exits`.

    A sign stands before what is only likely.
    """
    if forecast is None:
        return "unknown"
    is_default = forecast.delivery is Delivery.DEFAULT
    word = _SHORT_DEFAULTS.get(forecast.effect, "default") if is_default else _SHORT[forecast.delivery]
    return f"{signs.LIKELY}{word}" if forecast.likely else word


def combined(forecasts: Sequence[Forecast | None]) -> tuple[str, str]:
    """Returns sign and words for several processes: `2 handled, 1 discarded`; the most common first."""
    if not forecasts:
        return " ", "no such process"
    if len({(glyph(one), words(one)) for one in forecasts}) == 1:
        return glyph(forecasts[0]), words(forecasts[0])
    counted = Counter(short(one) for one in forecasts)
    sign = signs.TERMINATES if any(is_fatal(one) for one in forecasts) else signs.MIXED
    return sign, ", ".join(f"{count} {what}" for what, count in counted.most_common())


def size(count: int | None) -> str:
    """Formats bytes in at most five cells, binary units: `27`, `64K`, `1.5M`, `2G`; a dash for None."""
    if count is None:
        return "—"
    if count < 1024:
        return str(count)
    power = next((power for power in range(1, 6) if count / 1024**power < 999.5), 6)
    value = count / 1024**power
    return f"{value:.{0 if value >= 9.95 else 1}f}".removesuffix(".0") + "KMGTPE"[power - 1]


def exact(count: int) -> str:
    """Formats bytes with thousands separators, followed by the short form from 1 KiB."""
    plain = f"{count:,} byte{'s' if count != 1 else ''}"
    return plain if count < 1024 else f"{plain} ({size(count)})"


def clock_time(epoch_s: float) -> str:
    """Formats a time of today as `17:03:09`, local time."""
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))
