"""The `astria-sync` command, and `python -m astria_sync`."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Import the command line without looking for garbage meanwhile: there is none."""
    gc.disable()
    from astria_sync import cli

    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
