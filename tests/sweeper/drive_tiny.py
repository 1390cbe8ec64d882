"""A process that runs a study of the tiny method: ``drive_tiny.py FOLDER CHANGES-AS-JSON``; prints the outcome."""

import json
import sys
from pathlib import Path

import tiny

from sweeper import runner

if __name__ == "__main__":
    tiny.register()
    outcome = runner.run(tiny.study(Path(sys.argv[1]), **json.loads(sys.argv[2])))
    shown = ("done", "stopped", "failed", "interrupted", "already")
    print(json.dumps({name: getattr(outcome, name) for name in shown}))
