"""OpenAI's Realtime interface (GA) over a session that is led entry by entry."""
