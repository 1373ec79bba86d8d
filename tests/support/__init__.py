"""What tests share: a world of their own, polling with a deadline, HTTP, artefacts."""
