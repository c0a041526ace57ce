"""The names of the losses, and the tests of a name.

Code that treats the two losses differently asks here, so that an unknown name is refused and never
taken for one of them.

    mse  mean squared error
    bce  binary cross-entropy of labels between 0 and 1; the network's outputs are logits
"""

from harness.core.errors import ConfigError

LOSSES = ("mse", "bce")


def check_loss(loss: object, owner: str = "") -> None:
    """Raise `ConfigError` if `loss` is not the name of a loss; `owner` begins the message."""
    if loss not in LOSSES:
        raise ConfigError(
            f"{owner}loss={loss}: must be mse (mean squared error) or bce (binary cross-entropy of "
            "labels, with logits as outputs)."
        )


def gives_logits(loss: str) -> bool:
    """Return whether a network with this loss outputs logits of labels rather than values.

    Raises `ConfigError` if `loss` is not the name of a loss.
    """
    check_loss(loss)
    return loss == "bce"
