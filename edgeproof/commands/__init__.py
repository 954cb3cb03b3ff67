"""The commands, by what a user is doing: making a model, proving it, using it. Each parses, calls a stage, prints, returns the exit code."""
