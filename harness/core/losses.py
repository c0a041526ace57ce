"""The words for a loss. Each place that treats the two losses differently asks here, so that a word
which means neither is refused and never taken for the other.

    mse  mean squared error
    bce  binary cross-entropy of labels between 0 and 1; the network's outputs are logits
"""

from harness.core.errors import ConfigError

LOSSES = ("mse", "bce")


def check_loss(loss: object, owner: str = "") -> None:
    """Refuse, with a `ConfigError`, a word that is no loss; `owner` begins the message."""
    if loss not in LOSSES:
        raise ConfigError(
            f"{owner}loss={loss}: must be mse (mean squared error) or bce (binary cross-entropy of "
            "labels, with logits as outputs)."
        )


def gives_logits(loss: str) -> bool:
    """Whether a network with this loss gives logits of labels, and not values.

    Raises `ConfigError` for a word that is no loss.
    """
    check_loss(loss)
    return loss == "bce"
