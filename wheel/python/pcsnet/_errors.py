"""What can go wrong. The words are those of the command."""


class PcsnetError(Exception):
    """Something could not be done; the text says what was wrong, where, and what to do."""


class ArgumentError(PcsnetError, ValueError):
    """An argument has no value that it may have."""


class ImageError(PcsnetError, ValueError):
    """A photograph cannot be read or used."""


class DeviceError(PcsnetError, RuntimeError):
    """There is no graphics device that can be used, or the one in use fails or has too little memory."""
