"""Keep TensorFlow's native start-up messages off the user's terminal.

They are written by C++ straight to file descriptor 2 and no variable turns them off (tried on
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
    """Redirect file descriptor 2 while the block runs."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            caught.seek(0)
            os.write(2, caught.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        log.debug("%s", caught.read().decode(errors="replace"))
