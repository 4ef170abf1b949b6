"""What is decided, without I/O: no module here knows a clock, a task or a thread."""
