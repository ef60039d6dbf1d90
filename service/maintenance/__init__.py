"""What whoever runs the service asks of it: a backup, its restoration, tidying, a diagnosis."""
