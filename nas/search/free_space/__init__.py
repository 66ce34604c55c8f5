"""What a front leaves undominated: exact boxes for few objectives, samples for many."""
