"""The time of each part: its share of what is left, so that what one part saves helps the next."""

import time


class Budget:
    """The time until `seconds` are over, divided by the weights of the parts that are left."""

    def __init__(self, seconds: float, weights: dict[str, float]) -> None:
        self._end = time.monotonic() + seconds
        self._weights = dict(weights)

    def share(self, part: str) -> float:
        """Return the seconds of a part, which begins now; later shares are without it."""
        all_left = sum(self._weights.values())
        left = max(0.0, self._end - time.monotonic())
        return left * self._weights.pop(part) / all_left
