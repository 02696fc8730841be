"""astria-sync: folders of photos become tunes at Astria, `.prompt` files become pictures on disk."""

import sys

__version__ = "0.1.0"

# httpx loads its own command line, with rich and pygments, wherever those are installed: 6 MiB and 80 ms for a daemon that never
# uses it. Told that there is no such module it goes without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
