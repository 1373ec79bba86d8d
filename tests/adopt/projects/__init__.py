"""One file per project; each holds ``PROJECT`` and what its tests look for."""
