"""Wyoming, Home Assistant's protocol: one exchange after the other on a connection, for voices and ears."""
