"""Settings: gathered from the packages that own them, parsed once, by the command line."""

from parley.config.loading import DEFAULT_FILES, load_settings, tree
from parley.config.settings import Settings

__all__ = ["DEFAULT_FILES", "Settings", "load_settings", "tree"]
