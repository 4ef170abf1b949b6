"""From written text to what a voice says, with the way back for every word. Pure."""
