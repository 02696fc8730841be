"""`python -m astria_sync`, the same as the `astria-sync` command."""

from astria_sync.cli import main

if __name__ == "__main__":
    main()
