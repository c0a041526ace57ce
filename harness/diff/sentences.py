"""The answer in words: one sentence for each set of mistakes that explains B."""

from collections.abc import Sequence

from harness.diff.nearest import Nearest
from harness.diff.search import Answer


def sentence(answer: Answer, reference: str = "A", other: str = "B") -> str:
    """Return what was done to a network, and the remedy.

    Such as `B is A with the gates in ONNX's order: reorder i, o, f, c to i, f, c, o in
    rnn.0.kernel.`
    """
    phrases, remedies = [], []
    for mistake, tensors in answer.copied.items():
        phrases.append(f"with {mistake.phrase}")
        # A tensor that was not copied is named by its mistake.
        named = "" if tensors and tensors[0] in mistake.remedy else f" in {listed(tensors)}"
        named = "" if mistake.remedy.startswith("reorder layers") else named
        remedies.append(mistake.remedy + named)
    phrases += [behaviour.phrase for behaviour in answer.computed]
    remedies += [behaviour.remedy for behaviour in answer.computed]
    return f"{other} is {reference} {' and '.join(phrases)}: {'; '.join(remedies)}."


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + list(names[-1:]))


def no_answer(nearest: Nearest) -> str:
    """Return that no known mistake explains B, and what is nearest."""
    lines = "No known mistake, nor two of them, makes B of A."
    if nearest.of_a == 0:
        return f"{lines} Their weights are equal."
    if nearest.mistake is None:
        away = f"B's weights are {nearest.of_a:.2g} of their size away (root mean square)"
        return f"{lines} Nearest is A itself: {away}."
    return (
        f"{lines} Nearest is A with {nearest.mistake.phrase}: B's weights are "
        f"{nearest.distance:.2g} of their size away (root mean square), from A itself "
        f"{nearest.of_a:.2g}."
    )
