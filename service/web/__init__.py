"""The web page: static files that the API hands to browsers (`page_files`); no Python."""
