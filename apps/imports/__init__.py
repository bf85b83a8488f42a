"""What comes in as files: mapping, rows and errors."""
