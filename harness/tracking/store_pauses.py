"""How long stores that have failed are left alone, since every try may wait for their answers."""

import time

PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds after the first failure, and at most


class StorePauses:
    """The pauses of stores by their URIs, each twice as long as the one before."""

    def __init__(self) -> None:
        self._pauses: dict[str, tuple[float, float]] = {}  # when it is over, and the next one

    def end(self, store: str) -> float:
        """Return the time of the monotonic clock until which a store is left alone."""
        return self._pauses.get(store, (0.0, PAUSE))[0]

    def failed(self, store: str) -> None:
        """Leave a store alone for a while."""
        _, pause = self._pauses.get(store, (0.0, PAUSE))
        self._pauses[store] = time.monotonic() + pause, min(2 * pause, LONGEST_PAUSE)

    def answered(self, store: str) -> None:
        """Forget the failures of a store."""
        self._pauses.pop(store, None)
