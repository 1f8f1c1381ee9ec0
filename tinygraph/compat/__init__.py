"""Other libraries' names for what tinygraph does."""
