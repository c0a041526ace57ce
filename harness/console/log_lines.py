"""Log records as plain lines on standard error, which do not mix with a line of progress."""

import logging

CLEAR = "\r\x1b[2K"  # to the beginning of the line, and erase it: progress is drawn again below


class LogLines(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument]
    """A handler that on a terminal writes over the line of progress."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        text = super().format(record)
        return CLEAR + text if self.stream.isatty() else text
