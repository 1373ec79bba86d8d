"""The kit's commands, a module for each subject. They read flags and call one function each."""
