"""Files from strangers, looked at by processes of their own."""
