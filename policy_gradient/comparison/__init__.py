"""A room of the house; its table of contents is to be written."""
