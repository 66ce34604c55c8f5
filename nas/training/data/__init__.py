"""Images on their way into a network: the skeleton that fits them, and streamed batches."""
