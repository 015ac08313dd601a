"""The game itself: networks, losses, state and update. It knows nothing of ranks or files."""
