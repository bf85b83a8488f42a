"""Plans and their assignment, what a share earns, the decision on it, and its receipt."""
