"""The kit's own records: the ledger of releases and the locks."""
