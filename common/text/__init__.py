"""What people read of a process: its log, text of others made harmless, words in two languages.

Knows no party, no plan and nothing of what is computed.
"""
