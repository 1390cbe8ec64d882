"""What a caller of `analysis` may catch."""


class ReportError(ValueError):
    """A run folder that cannot be reported on.

    The message is one line that names the folder or file, what was found and what to do.
    """
