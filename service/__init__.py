"""The service: HTTP, jobs, workers. Only runner.py imports model."""
