"""The rules by which a recorded training is repeated: those that `harness identify` finds."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.core.semantics import RULES
from harness.identify.answer import Answer, answer
from harness.identify.candidates import Rules
from harness.identify.case import Case
from harness.identify.network import read_case
from harness.identify.price import affordable
from harness.identify.search import Found, Say, search
from harness.identify.stated import order, starts
from harness.identify.verdicts import Verdict, verdicts
from harness.readers.foreign_network import Stated
from harness.recorder.recording import Recording, read_recording

NEAREST = "of the nearest rules, which do not fit"


@dataclass(frozen=True, kw_only=True)
class Identified:
    """A recording with the rules that were found for it, and the steps by which they were judged.

    Where `found.fits` is false they are the nearest ones.
    """

    recording: Recording
    whole: Case  # all steps of the recording
    judged: Case  # the first of them
    found: Found
    verdicts: list[Verdict]
    answer: Answer

    @property
    def rules(self) -> Rules:
        """The rules that were found, with the semantics of the answer."""
        semantics = asdict(self.answer.semantics)
        return self.found.rules | {f"semantics.{rule}": semantics[rule] for rule in RULES}


def identify(
    folder: Path, name: str, stated: Stated, lr: float | None, steps: int | None, say: Say
) -> Identified:
    """Find the rules of a recording, which are called `name`. Raises `ConfigError`."""
    recording = read_recording(folder)
    whole = read_case(folder, recording, stated, lr)
    for note in recording.notes:
        say(f"The recorder noted: {note}.")
    begun = starts(folder, recording)
    case, price = affordable(whole, begun[0], steps)
    say(price)
    found = search(case, begun, say)
    judged = verdicts(case, found, recording)
    if not found.fits:
        judged = [replace(verdict, word=NEAREST) for verdict in judged]
    return Identified(
        recording=recording,
        whole=whole,
        judged=case,
        found=found,
        verdicts=judged,
        answer=answer(case, found, judged, order(recording), name),
    )
