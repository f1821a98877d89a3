"""Errors of a site's process.

UsageError
├── ConfigError      settings that cannot be used: all of them, each by name and origin    exit 2
└── BackupUnusable   a file that is no backup, or not a whole one                          exit 2
"""

from bellwire.base.errors import UsageError


class ConfigError(UsageError):
    """The settings cannot be used.

    Attributes:
        problems: One sentence for each setting that is wrong: name, expected, got, origin.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(
            "; ".join(problems), hint="docs/reference/configuration.md explains every setting"
        )
        self.problems = problems


class BackupUnusable(UsageError):
    """A file is no backup of ours, or not the whole of one; nothing was restored."""
