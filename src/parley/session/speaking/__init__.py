"""The agent's side of a session."""
