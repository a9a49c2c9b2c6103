"""The program: `understudy`, and `python -m understudy`."""

import atexit
import sys

from understudy import signals
from understudy.errors import EXIT_INTERRUPTED


def main() -> int:
    """Run the command line of this process and return its exit code, whatever signal comes when.

    To load everything takes longer than some commands: signals are seen to before.
    """
    signals.end_at_once(EXIT_INTERRUPTED)
    # Called last of all: what is registered first.
    atexit.register(signals.ignore)
    from understudy import cli

    code = cli.main()
    signals.end_at_once(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
