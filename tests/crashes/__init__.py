"""The real process, killed and refused at its system calls; see README.md."""
