"""The rules by which a recorded training is repeated: those that `harness identify` finds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.core.semantics import RULES
from harness.identify.answer import Answer, answer
from harness.identify.candidates import Rules
from harness.identify.identified import Identified, identified
from harness.identify.stated import order
from harness.identify.verdicts import verdicts
from harness.recorder.recording import read_recording

NEAREST = "of the nearest rules, which do not fit"


@dataclass(frozen=True, kw_only=True)
class NamedRules(Identified):
    """What was found of a recording's rules, with its semantics under a name.

    Where `found.fits` is false they are the nearest ones.
    """

    answer: Answer

    @property
    def rules(self) -> Rules:
        """The rules that were found, with the semantics of the answer."""
        semantics = asdict(self.answer.semantics)
        return self.found.rules | {f"semantics.{rule}": semantics[rule] for rule in RULES}


def identify(folder: Path, name: str, say: Callable[[str], None], **options: Any) -> NamedRules:
    """Find the rules of a recording, which are called `name`; `options` are those of `identified`.

    Raises `ConfigError`.
    """
    recording = read_recording(folder)
    outcome = identified(folder, recording, say, **options)
    case, found = outcome.case, outcome.found
    judged = outcome.verdicts or [
        replace(verdict, word=NEAREST) for verdict in verdicts(case, found, recording)
    ]
    result = answer(case, found, judged, order(recording), name)
    return NamedRules(**vars(outcome) | {"verdicts": judged, "answer": result})
