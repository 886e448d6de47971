"""The one exception that the command line turns into one line."""


class ConversionError(Exception):
    """A source that is broken, or that holds what a clipon model can't represent."""
