"""What a job and a model version are, and how they change; no input or output."""
