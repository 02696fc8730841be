"""The same trouble for any client's command line: how often is paid, and what lies on disk afterwards? See `__main__.py`."""
