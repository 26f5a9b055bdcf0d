"""What `signalroom doctor` looks at: unread settings, accounts, the warehouse and its tables.

It changes nothing. Never here: printing. The commands and definitions import it.
"""
