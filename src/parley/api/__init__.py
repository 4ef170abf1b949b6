"""Other people's protocols, translated: each module here turns their words into ours and back."""
