"""Where vectors are searched: one protocol, and a module for each engine by address."""
