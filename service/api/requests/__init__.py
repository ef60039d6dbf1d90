"""How requests are read: bodies that come in pieces, parameters, executions."""
