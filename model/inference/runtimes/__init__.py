"""How a batch of windows becomes logits: one file for each way, and one that chooses."""
