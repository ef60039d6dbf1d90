"""JSON of requests and answers."""
