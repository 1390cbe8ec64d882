"""What a caller may catch: one base for bad input, one for training that cannot go on."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the place (file, key, column, row), what was expected there and
    what would fix it; the command line prints it as it is and exits with 2.
    """


class Diverged(ArithmeticError):
    """Training left the finite numbers: the arm is recorded as failed, with this message as its reason."""
