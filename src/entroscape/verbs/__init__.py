"""One module per verb: read files, call the library, write files."""
