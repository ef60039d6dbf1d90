"""The paper's ablations, on any data set, with several seeds."""
