"""A run: plan (all that is checked before it starts), loop (first step to last), journal."""
