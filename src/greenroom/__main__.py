"""The `greenroom` program, also available as `python -m greenroom`."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C exits without a traceback, even while modules are still loading."""
    try:
        from greenroom.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run(prog_name="greenroom")


if __name__ == "__main__":
    main()
