"""What `signalroom doctor` looks at: settings that nothing reads, accounts, the warehouse and its
tables.

It changes nothing. Never here: printing. The commands and definitions import it.
"""
