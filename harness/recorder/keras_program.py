"""Keras: give a `Model.fit` of a program that knows nothing of it the callback that records."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import keras

from harness.recorder.keras_callback import KerasRecorder


def watch_fits(begins: Callable[[str], Path | None]) -> None:
    """Tell `begins` of each `fit` from now on; where it returns a folder, `fit` is recorded."""
    original: Any = keras.Model.fit
    signature = inspect.signature(original)

    @wraps(original)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        folder = begins(f"Keras, fit of {type(self).__name__}")
        if folder is None:
            return original(self, *args, **kwargs)
        given = signature.bind(self, *args, **kwargs)
        callbacks = given.arguments.get("callbacks")
        given.arguments["callbacks"] = _with(KerasRecorder(folder), self, callbacks)
        return original(*given.args, **given.kwargs)

    keras.Model.fit = fit


def _with(recorder: KerasRecorder, model: Any, callbacks: Any) -> Any:
    """Return the callbacks of a `fit`, this one last: another may set the rate of a step."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        recorder.set_model(model)
        callbacks.callbacks.append(recorder)
        return callbacks
    several = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    return [*(callback for callback in several if callback is not None), recorder]
