"""The command line, where the tiny method is known: ``sweeper_tiny.py run study.yaml``."""

import tiny

from sweeper import cli

if __name__ == "__main__":
    tiny.register()
    cli.main()
