"""What the dashboard shows, as tables and points: one module a subject. `benchmarks.dashboard` puts them into the page."""
