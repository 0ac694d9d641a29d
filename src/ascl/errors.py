"""The error a user can mend: bad input. The command line prints it as one line and exits with 2."""


class InputError(ValueError):
    """Names the file, line or field at fault, and the mend."""
