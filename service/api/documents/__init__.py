"""Documents that describe the service, and the page's files."""
