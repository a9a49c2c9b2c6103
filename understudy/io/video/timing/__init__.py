"""When the pictures and the sound of a file are shown and heard."""
