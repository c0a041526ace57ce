"""The loss of each batch from the running mean that Keras logs in its place.

Keras adds up `loss · samples` and divides by the samples so far. The difference of two such sums
loses digits as an epoch goes on, so each loss comes with a bound of how far it may be off.
"""


class RunningMean:
    """The mean over the batches of an epoch so far, each weighted by its samples."""

    def __init__(self, precision: float) -> None:
        self.precision = precision  # the relative rounding of its dtype
        self._samples = 0
        self._sum = 0.0

    def last(self, mean: float, samples: int) -> tuple[float, float]:
        """Return the loss of a batch and its error bound; `mean` is the one after the batch.

        The bound: both sums were rounded when they were added to, and both means when divided.
        """
        before, self._samples = self._sum, self._samples + samples
        self._sum = mean * self._samples
        bound = 2 * self.precision * (abs(self._sum) + abs(before)) / samples
        return (self._sum - before) / samples, bound
