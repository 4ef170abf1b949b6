"""Text on its way to a voice. Pure."""
