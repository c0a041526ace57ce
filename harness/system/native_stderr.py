"""Keep TensorFlow's native start-up messages off the user's terminal.

C++ code writes them straight to file descriptor 2, and no variable turns them off (tried on
TensorFlow 2.21). They go to the debug log instead; if the import fails they are shown.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def without_native_messages() -> Iterator[None]:
    """Redirect file descriptor 2 to the debug log while the block runs."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            messages.seek(0)
            os.write(2, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        messages.seek(0)
        log.debug("%s", messages.read().decode(errors="replace"))
