"""astria-sync as a service on a real systemd: a Debian is booted in a container, and a person installs, uses and breaks it there.

`python -m tests.container` (as root; `make prove-service`) plays it all; where that cannot be, it says why in one line.
"""
