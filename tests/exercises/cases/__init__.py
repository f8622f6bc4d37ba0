"""Inputs on which the answers of an exercise are compared, one module per floor."""
