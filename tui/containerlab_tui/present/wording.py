"""Forecasts, sizes and moments in the few words and glyphs that all screens share.

A glyph never stands alone and a colour never means what no glyph or word says.
"""

import time
from collections import Counter
from collections.abc import Sequence

from containerlab_probes.records import Delivery, Effect, Forecast
from containerlab_probes.signals.names import SIGKILL

SIGSTOP = 19

_GLYPHS = {
    Effect.PROGRAM_DECIDES: "✓",
    Effect.TERMINATES: "†",
    Effect.DUMPS_CORE: "†",
    Effect.STOPS: "‖",
    Effect.CONTINUES: "▸",
    Effect.NOTHING: "✗",
    Effect.UNKNOWN: "?",
}

_DELIVERIES = {
    Delivery.HANDLER: "caught: the program's handler decides",
    Delivery.SIGWAIT: "awaited (sigwait): the program decides",
    Delivery.SIGNALFD: "awaited (signalfd): the program decides",
    Delivery.IGNORED: "ignored by the program: nothing happens",
    Delivery.DROPPED: "dropped: PID 1 has no handler for it",
    Delivery.DEFERRED: "caught, but deferred until its child ends",
    Delivery.PENDING: "blocked: stays in its queue",
    Delivery.UNKNOWN: "unknown",
}

_DEFAULTS = {
    Effect.TERMINATES: "default action: ends it",
    Effect.DUMPS_CORE: "default action: ends it with a core dump",
    Effect.STOPS: "default action: stops it until SIGCONT",
    Effect.CONTINUES: "default action: goes on if it was stopped",
    Effect.NOTHING: "default action: nothing happens",
}

SOURCES = {
    "request": "chosen here",
    "container": "set by the container or its image",
    "default": "the engine's default",
}
"""Where a stop signal or a grace period comes from."""

_SHORT = {
    Delivery.HANDLER: "handled",
    Delivery.SIGWAIT: "awaited",
    Delivery.SIGNALFD: "awaited",
    Delivery.IGNORED: "ignored",
    Delivery.DROPPED: "dropped",
    Delivery.DEFERRED: "deferred",
    Delivery.PENDING: "blocked",
    Delivery.UNKNOWN: "unknown",
}

_SHORT_DEFAULTS = {
    Effect.TERMINATES: "ends it",
    Effect.DUMPS_CORE: "ends it, core",
    Effect.STOPS: "stops it",
    Effect.CONTINUES: "continues",
    Effect.NOTHING: "no effect",
}


def deadly(forecast: Forecast | None) -> bool:
    """Whether the process would end by the signal itself, whatever the program wants."""
    return forecast is not None and forecast.effect in (Effect.TERMINATES, Effect.DUMPS_CORE)


def glyph(forecast: Forecast | None) -> str:
    """One cell for what a signal would do: ✓ the program decides, † ends it, ✗ nothing, … later, ? unknown."""
    if forecast is None:
        return "?"
    return "…" if forecast.delivery in (Delivery.DEFERRED, Delivery.PENDING) else _GLYPHS[forecast.effect]


def words(forecast: Forecast | None) -> str:
    """What a signal would do, for a person, in at most 45 cells."""
    if forecast is None:
        return "unknown: the process can't be seen"
    if forecast.signal == SIGKILL and deadly(forecast):
        return "kills it at once: can't be caught"
    if forecast.signal == SIGSTOP and forecast.effect is Effect.STOPS:
        return "stops it until SIGCONT: can't be caught"
    if forecast.delivery is Delivery.DEFAULT:
        return _DEFAULTS.get(forecast.effect, "default action")
    return _DELIVERIES[forecast.delivery]


def delivery(one: Delivery) -> str:
    """What becomes of a signal on its way into a process, in at most 45 cells."""
    return _DELIVERIES.get(one, "default action: no handler is asked")


def short(forecast: Forecast | None) -> str:
    """The same in one or two words, for a column: `handled`, `dropped`, `ends it`."""
    if forecast is None:
        return "unknown"
    if forecast.delivery is Delivery.DEFAULT:
        return _SHORT_DEFAULTS.get(forecast.effect, "default")
    return _SHORT[forecast.delivery]


def together(forecasts: Sequence[Forecast | None]) -> tuple[str, str]:
    """Glyph and words for several processes at once: `2 handled, 1 dropped`; the commonest first."""
    if not forecasts:
        return " ", "there is no such process"
    if len({(glyph(one), words(one)) for one in forecasts}) == 1:
        return glyph(forecasts[0]), words(forecasts[0])
    counted = Counter(short(one) for one in forecasts)
    sign = "†" if any(deadly(one) for one in forecasts) else "~"
    return sign, ", ".join(f"{count} {what}" for what, count in counted.most_common())


def size(count: int | None) -> str:
    """Bytes in at most five cells, binary units: `27`, `64K`, `1.5M`, `2G`; a dash where there is none."""
    if count is None:
        return "—"
    if count < 1024:
        return str(count)
    power = next((power for power in range(1, 6) if count / 1024**power < 999.5), 6)
    value = count / 1024**power
    return f"{value:.{0 if value >= 9.95 else 1}f}".removesuffix(".0") + "KMGTPE"[power - 1]


def exact(count: int) -> str:
    """Bytes with their thousands apart, and the short form behind where it says more."""
    plain = f"{count:,} byte{'s' if count != 1 else ''}"
    return plain if count < 1024 else f"{plain} ({size(count)})"


def clock_time(epoch_s: float) -> str:
    """A moment of today as `17:03:09`, local time."""
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))
