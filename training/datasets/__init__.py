"""Where labelled tiles come from."""
