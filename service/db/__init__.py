"""Tables and the sessions that read and write them."""
