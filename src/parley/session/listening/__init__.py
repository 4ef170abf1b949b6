"""The participant's side of a session."""
