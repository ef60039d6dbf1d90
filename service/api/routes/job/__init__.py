"""Routes of jobs: from the processes that start them to what they leave."""
