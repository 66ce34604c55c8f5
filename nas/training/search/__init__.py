"""The parts of `nas.training.search_job`: what is searched, and how it runs to its end."""
