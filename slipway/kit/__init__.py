"""The kit's own files: adopting inside, upgrades, new projects."""
