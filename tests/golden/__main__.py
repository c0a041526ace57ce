"""`python -m tests.golden` says which golden numbers have changed, and writes them anew."""

import json
import sys
from pathlib import Path

from tests.golden.fingerprints import differences, text
from tests.golden.numbers import everything, settings

FILE = Path(__file__).with_name("numbers.json")


def main() -> int:
    found = everything(settings())
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    print("\n".join(differences(before, found)) or "Nothing has changed.")
    FILE.write_text(text(found) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
