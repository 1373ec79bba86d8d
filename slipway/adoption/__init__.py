"""Scan an existing project and describe it to the kit: `invoke adopt`."""
