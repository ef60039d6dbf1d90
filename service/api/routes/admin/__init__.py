"""Routes for whoever runs the service."""
