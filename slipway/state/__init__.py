"""The files that the kit itself keeps."""
