"""Garbage is searched for again after a block without, also after an exception in it."""

import gc

import pytest

from harness.system.garbage import not_collected


def test_it_is_searched_for_again_after_an_error() -> None:
    seen: list[bool] = []

    def fail() -> None:
        with not_collected():
            seen.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert [*seen, gc.isenabled()] == [False, True]


def test_a_process_that_does_without_is_left_so() -> None:
    gc.disable()
    try:
        with not_collected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
