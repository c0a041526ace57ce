"""A power cut: what a disk has of a run whose unsynced writes are forgotten.

The results are on an image of a disk, mounted by way of a loop device. What programs write stays in
the memory of the mounted file system until it is synced; the image has only what has reached the
disk. So a copy of the image is the disk after a power cut. Two control files, one of them synced,
prove in each try that the copy forgets the other. Linux itself writes what is older than a few
seconds; the file system is mounted so that it does not help by more than that.
"""

import os
import shutil
import signal
import time
from pathlib import Path

import psutil

from tests.faults.compare import JOURNAL, Journal, journals, read
from tests.faults.fault import Fault
from tests.faults.mounts import missing, mounted, new_image
from tests.faults.trial import EPOCHS, Program, Trial, epochs, processes

LATE = 6.0  # seconds of a journal that may be lost: one, and what a busy machine adds to it
OPTIONS = "loop,commit=300,noauto_da_alloc"


def cut_power(trial: Trial) -> None:
    """Cut the power at a random moment of a run, and go on from what the disk has."""
    place, image = trial.folder / trial.results, trial.folder.parent / "disk.img"
    trial.folder.mkdir(parents=True, exist_ok=True)
    new_image(image, 64)
    with mounted(place, "-o", OPTIONS, image):
        program = trial.train(epochs(10 * EPOCHS), "trainer.checkpoint_every=200")
        lines = 60 if trial.short else trial.random.randrange(1, 10 * EPOCHS)
        program.wait_until(lambda: program.lines() >= lines)
        disk = copy_after_cut(trial, place, image)
        before = journals(place)
        end(trial, program)
    with mounted(place, "-o", "loop", disk):
        check(trial, place, before)
        for journal in journals(place):
            trial.complete(journal)
        trial.settle()
    image.unlink()
    disk.unlink()


def copy_after_cut(trial: Trial, place: Path, image: Path) -> Path:
    """Halt all programs and copy the image; write the control files just before."""
    for process in processes(trial.folder):
        process.suspend()
    with (place / "synced").open("wb") as file:
        file.write(b"x" * 5000)
        os.fsync(file.fileno())
    (place / "not-synced").write_bytes(b"x" * 5000)
    disk = image.with_name("after-the-cut.img")
    shutil.copyfile(image, disk)
    while disk.read_bytes() != image.read_bytes():  # the file system was writing meanwhile
        shutil.copyfile(image, disk)
    return disk


def end(trial: Trial, program: Program) -> None:
    for process in processes(trial.folder):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    trial.finish(program, 0, -signal.SIGKILL)
    limit = time.monotonic() + 30
    while processes(trial.folder) and time.monotonic() < limit:
        time.sleep(0.05)


def check(trial: Trial, place: Path, before: list[Journal]) -> None:
    """Check what the disk has: the controls, and of each journal all but its last second."""
    if (place / "synced").read_bytes() != b"x" * 5000:
        trial.problems.append("the copy of the disk lacks a file that was synced")
    if (place / "not-synced").exists() and (place / "not-synced").stat().st_size:
        trial.problems.append("the copy of the disk has a file that was never synced")
    for journal in before:
        if journal.start is None:
            continue
        times = [event["time"] for event in journal.events]
        path = journal.directory / JOURNAL
        kept = [event["time"] for event in read(journal.directory).events] if path.exists() else []
        late = (times[-1] - (kept[-1] if kept else times[0])) / 1000
        if late > LATE:
            trial.problems.append(f"{journal.directory}: the last {late:.1f} s are not on the disk")
        if "metrics" in {event["kind"] for event in journal.events[: len(kept)]}:
            for name in ("config.yaml", "network.json", "weights/initial.safetensors"):
                if not (journal.directory / name).stat().st_size:
                    trial.problems.append(f"{journal.directory}/{name} is empty")


FAULTS = [
    Fault(
        name="power-cut",
        what="power cut (an ext4 image without its unsynced writes)",
        once=cut_power,
        tries=20,
        is_fresh=True,
        settles=True,
        is_short=True,
        needs=lambda: missing("mkfs.ext4", "losetup"),
    )
]
