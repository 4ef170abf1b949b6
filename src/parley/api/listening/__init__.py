"""``/v1/audio/listen``: sound over a WebSocket, written down while somebody speaks."""
