"""Known answers: values that any implementation of PROTOCOL.md must give. README.md states the form of the files."""
