"""Where positions stand: lights, percentiles, distances, explanations (rules R99, R111 to R113, R122)."""
