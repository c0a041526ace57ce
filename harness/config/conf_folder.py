"""The folder of the shipped options, `conf/`."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
# The first in an installed wheel, the second in a clone.
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"
