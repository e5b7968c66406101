"""Options of the command line: each is declared here once, for every command that takes it. Imports nothing."""
