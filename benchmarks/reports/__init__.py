"""The same verdict for different readers: people at a terminal, a pull request, a CI server. All read the fields of `parity.json`."""
