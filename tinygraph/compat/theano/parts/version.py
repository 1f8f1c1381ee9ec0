"""The version of Theano whose documented behaviour the names follow."""

__version__ = "1.0.5"
full_version = __version__
short_version = __version__
git_revision = ""
version = __version__
