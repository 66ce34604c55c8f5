"""People's own images in a search and after it: the skeleton that fits them, and reading photos."""
