"""Programs that show how the engine is embedded."""
