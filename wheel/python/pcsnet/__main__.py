"""The `pcsnet` command."""

import signal
import sys

from pcsnet import _native


def main() -> int:
    """Runs the command with this program's arguments, and gives its exit code."""
    # Ctrl-C is the command's own business.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.command(["pcsnet", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
