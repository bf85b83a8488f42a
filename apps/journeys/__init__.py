"""Whose touches came before a conversion, in total order: candidates, nothing decided."""
