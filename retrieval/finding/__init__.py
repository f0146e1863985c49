"""What is asked beyond one list: two files, a set of hours, a whole catalog."""
