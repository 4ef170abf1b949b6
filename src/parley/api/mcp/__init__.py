"""The Model Context Protocol: other people's agents speak with Parley's voices and hear with its ears."""
