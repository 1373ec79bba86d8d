"""The kit beside the usual setups, measured in pairs: ``nox -s bench``. docs/performance.md has the figures."""
