"""Scores of predictions, with errors, and their order on the leaderboard."""
