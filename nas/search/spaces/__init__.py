"""What a search has seen of a space, and spaces with fewer cells."""
