"""The digest of a run's data changes with any value, mask or split, and with nothing else."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.training.splits import NAMES, Split, Splits, make_splits
from tests.support.given_samples import given_task, random_arrays, random_mask
from tests.support.tasks import task

# A time limit per example would make the outcome depend on the machine.
PROPERTY = settings(max_examples=150)


def four_parts() -> Splits:
    drawing = task("multi_step", series="ramp", samples=30, window=2, horizon=1, probe=2)
    return make_splits(drawing, [0], "float64")


@PROPERTY
@given(st.sampled_from([*NAMES, "probe"]), st.sampled_from(["x", "y"]), st.data())
def test_the_digest_changes_with_any_value(name: str, field: str, data: st.DataObject) -> None:
    splits = four_parts()
    array = getattr(splits.parts[name], field).copy()
    index = data.draw(st.integers(0, array.size - 1))
    # The smallest change there is.
    array.flat[index] = np.nextafter(array.flat[index], np.inf)
    changed = replace(splits.parts[name], **{field: array})
    other = replace(splits, parts=splits.parts | {name: changed})
    assert other.digest() != splits.digest()


def test_the_digest_is_repeatable_and_short_enough_for_mlflow() -> None:
    digests = {four_parts().digest() for _ in range(2)}
    assert len(digests) == 1
    assert 0 < len(digests.pop()) <= 36


def test_the_digest_knows_which_split_a_sample_is_in_and_its_shape() -> None:
    splits = four_parts()
    train, rest = splits.train, dict(list(splits.parts.items())[1:])
    renamed = replace(splits, parts={"test": train})
    flat = Split(train.x.reshape(1, -1, 1, 1), train.y)
    reshaped = replace(splits, parts={"train": flat, **rest})
    alone = replace(splits, parts={"train": train})
    digests = [s.digest() for s in (splits, renamed, reshaped, alone)]
    assert len(set(digests)) == 4


def test_the_digest_changes_with_the_mask() -> None:
    x, y = random_arrays(0, 10, 4, 2)
    splits = make_splits(given_task(x, y, mask=random_mask()), [0], "float64")
    digests = {splits.digest()}
    for name, part in splits.parts.items():
        assert part.mask is not None
        flipped = part.mask.copy()
        flipped.flat[-1] ^= True
        for mask in (flipped, None):
            changed = replace(splits, parts=splits.parts | {name: replace(part, mask=mask)})
            digests.add(changed.digest())
    assert len(digests) == 7, "as drawn, and two changes to each of three splits"
