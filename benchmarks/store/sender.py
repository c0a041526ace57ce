"""`python -m benchmarks.store.sender URI`: send runs to a store, as `harness sync` does.

Its directories come as a line of JSON on standard input, and when this process has imported all
that it needs, it prints a line. A second line lets it begin. Then it prints a problem, or nothing.
"""

import json
import os
import sys
from pathlib import Path

from harness.sync.send import send
from harness.tracking.mlflow_store import client


def main(uri: str) -> int:
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    directories = [Path(word) for word in json.loads(sys.stdin.readline())]
    client(uri)
    print("ready", flush=True)
    sys.stdin.readline()
    summary = send(directories, uri, lambda: None)
    print(next(iter(summary.problems.values()), ""))
    return 1 if summary.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
