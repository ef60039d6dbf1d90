"""docker-compose.yml as tests read it, and the processes that stand in for its containers."""
