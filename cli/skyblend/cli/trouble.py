"""What commands let a person see of the log: trouble, a line each and without traces."""

import logging
import sys
import traceback

from skyblend.runtime.logs import masked


class OneLine(logging.Formatter):
    """The message, and behind it the error that it is about; hidden values masked."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[:2] if record.exc_info else (None, None)
        told = traceback.format_exception_only(*error)[-1:] if error[0] else []
        return "skyblend: " + masked(" ".join(": ".join([record.getMessage(), *told]).split()))


def one_line_each() -> None:
    """Show errors on standard error. Less is left out: a command tells itself which of its calls
    failed. `up` sends its log to a file in place of this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    handler.setLevel(logging.ERROR)
    logging.getLogger().handlers[:] = [handler]
