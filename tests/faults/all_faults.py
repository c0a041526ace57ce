"""All faults, in the order of the table."""

from tests.faults import kills
from tests.faults.fault import Fault

FAULTS: list[Fault] = [*kills.FAULTS]
