"""Pure functions and frozen data: no files, sockets, clock, randomness, logging or environment."""
