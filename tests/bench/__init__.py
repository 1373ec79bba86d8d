"""The kit beside the usual setups, measured in pairs: ``nox -s bench``; the figures: docs/performance.md."""
