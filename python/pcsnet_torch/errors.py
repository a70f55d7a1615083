"""The one error a person can cause; its text says what was wrong, where, and what would do."""


class PcsnetError(Exception):
    """A file, folder, image or option that cannot be used."""
