"""All faults, in the order of the table."""

from tests.faults import (
    crowds,
    disk,
    interruptions,
    kills,
    mutations,
    power,
    readonly,
    server,
    shared_server,
    signals,
)
from tests.faults.fault import Fault

FAULTS: list[Fault] = [
    *kills.FAULTS,
    *interruptions.FAULTS,
    *signals.FAULTS,
    *server.FAULTS,
    *shared_server.FAULTS,
    *disk.FAULTS,
    *readonly.FAULTS,
    *power.FAULTS,
    *crowds.FAULTS,
    *mutations.FAULTS,
]
