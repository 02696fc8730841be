"""The same faults for any client's command line: how often is paid, and what lies on disk afterwards?

`python -m tests.rivals` runs astria-sync; `--official PATH` Astria's own client beside it; `--client 'CMD {text} {output}'` any other.
"""
