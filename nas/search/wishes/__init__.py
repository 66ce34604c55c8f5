"""What a user asks of a search: its objectives, functions of their own, and which cells it sees."""
