"""What is drawn of uploads and jobs for a screen."""
