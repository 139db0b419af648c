"""The errors that a user can cause, and the exit codes of the commands.

An error message is one sentence that names what is wrong and what is allowed. Any other exception is a bug in hwr_jax:
the command prints a traceback and exits with `INTERNAL`.
"""

import re

DONE = 0
DIFFERENT = 1  # verify: the run was not reproduced; export: the file differs from JAX; doctor: a check failed
WRONG_CONFIG = 64  # wrong flag or config
NOT_FINITE = 65  # the loss is not finite
BAD_DATA = 66  # data missing or bad
INTERNAL = 70
OUT_OF_MEMORY = 71
INPUT_OUTPUT = 74  # a file or folder cannot be read or written
INTERRUPTED = 130  # SIGINT, after saving
TERMINATED = 143  # SIGTERM, after saving

MEANING = {
    DONE: "done",
    DIFFERENT: "not reproduced (verify), not equal to JAX (export), not healthy (doctor), or hung (watchdog)",
    WRONG_CONFIG: "wrong flag or config",
    NOT_FINITE: "the loss is not finite",
    BAD_DATA: "data missing or bad",
    INTERNAL: "internal error",
    OUT_OF_MEMORY: "out of memory",
    INPUT_OUTPUT: "input/output error",
    INTERRUPTED: "interrupted (SIGINT), after saving what was trained",
    TERMINATED: "terminated (SIGTERM), after saving what was trained",
}


def without_passwords(text):
    """Returns a text in which the passwords of URLs are three stars: postgresql://me:***@host/db."""
    text = re.sub(r"(\w://[^:/@\s]*:)\S*@", r"\1***@", text)
    return re.sub(r"(?i)([?&;]\s*(?:\w*password|passwd|pwd|\w*token|\w*secret)=)[^&;\s'\"]*", r"\1***", text)


class ConfigError(ValueError):
    """A flag or config value is wrong: the message names the key, the value and the allowed set."""


class DataError(ValueError):
    """Data is missing or bad: the message names the file and the reason."""


class DataMissing(DataError):
    """A data set was not found. `tried` has one line per place: where, and why it is not there."""

    def __init__(self, name, tried):
        self.name, self.tried = name, tuple(tried)
        super().__init__(f"the data set {name} was not found; tried: {'; '.join(self.tried)}")

    def __reduce__(self):
        return type(self), (self.name, self.tried)  # so that it can be pickled, for other processes


class RunFolderError(OSError):
    """A run folder cannot be used: the message names the folder and what to do."""


class NotFiniteError(FloatingPointError):
    """The loss became NaN or infinite: the message names the step and the seed. `bad` marks the seeds, bool [S]."""

    def __init__(self, message, bad=()):
        super().__init__(message)
        self.bad = bad


class Stopped(BaseException):
    """A signal ended the command, in training after the state was saved; `code` is the exit code (130 or 143).

    Derives from BaseException, so that no library's `except Exception` swallows it.
    """

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code

    def reworded(self, words):
        """Returns the same stop with another message after the name of its signal."""
        return Stopped(self.code, f"{str(self).partition(':')[0]}: {words}")
