"""How processes log: one line per event on standard error, JSON in production, without personal data."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import structlog

Event = MutableMapping[str, Any]
PERSONAL = ("ip", "user_agent", "user_id")


def without_personal_data(_logger: Any, _method: str, event: Event) -> Event:
    """Drop what names a person or their machine."""
    for name in PERSONAL:
        event.pop(name, None)
    return event


SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    without_personal_data,
]


def configure_logs(*, level: str, as_json: bool) -> dict[str, Any]:
    """Route structlog through the standard library and return the LOGGING setting."""
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # The values of local variables are customers' data and secrets, and bury what went wrong.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    renderer = structlog.processors.JSONRenderer() if as_json else plain
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ]
                if as_json
                else [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
    }
