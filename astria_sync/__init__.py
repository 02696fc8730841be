"""astria-sync: folders of photos become tunes at Astria, `.prompt` files become pictures on disk."""

import sys

__version__ = "0.1.0"

# httpx has a command line, for which it brings rich and pygments along wherever it is imported: 30 ms and 4.6 MB of a daemon.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # None: not to be had, which httpx is ready for
