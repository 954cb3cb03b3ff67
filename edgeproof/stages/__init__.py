"""One module a stage: reads the workspace, calls the package that does the work, writes the workspace. No algorithm here."""
