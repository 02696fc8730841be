"""What can go wrong, as far as a person can do something about it.

AstriaSyncError                exit 1   something is failed
├── UsageError                 exit 2   the command was called in a way that makes no sense
│   └── ConfigError            exit 2   the configuration, or what it names, cannot be used
├── FileProblem                exit 1   a .prompt, a tune.toml or a picture cannot be used
├── StateError                 exit 2   the state file cannot be used
│   ├── StateLocked            exit 3   another daemon holds the state
│   ├── StateUnusable          exit 2   a full disk, another program's lock: it may pass
│   ├── StateTooNew            exit 2   a later version of astria-sync wrote it
│   └── StateDamaged           exit 2   it is no state file, or a broken one
└── NotAuthorised              exit 4   no token, or one that Astria refuses

Each problem is one sentence: what happened, to which file, what to do. All of them are told, not the first.
"""

from typing import ClassVar


class AstriaSyncError(Exception):
    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class UsageError(AstriaSyncError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class FileProblem(AstriaSyncError):  # noqa: N818 - it is the file that has the problem, not the program
    pass


class StateError(AstriaSyncError):
    exit_code = 2


class StateLocked(StateError):  # noqa: N818 - reads as the state it tells of, like its siblings
    exit_code = 3


class StateUnusable(StateError):  # noqa: N818
    pass


class StateTooNew(StateError):  # noqa: N818
    pass


class StateDamaged(StateError):  # noqa: N818
    pass


class NotAuthorised(AstriaSyncError):  # noqa: N818
    exit_code = 4
