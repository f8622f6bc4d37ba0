"""Tests of the dialogue of two turns."""
