"""All SQL of the service, one file a table. Whoever opens the transaction ends it."""
