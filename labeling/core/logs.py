"""What the log leaves out."""

from __future__ import annotations

import logging

FAULT = 500


class WithoutTracesOfRefusals(logging.Filter):
    """A refused request (403, 404, …) is one line: a traceback would lead to our own check. Errors keep theirs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through; drop the traceback of a warning about an answer below 500."""
        if record.levelno < logging.ERROR and getattr(record, "status_code", FAULT) < FAULT:
            record.exc_info = record.exc_text = None
        return True
