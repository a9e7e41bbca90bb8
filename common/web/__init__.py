"""Pages and answers over HTTPS beside a daemon: the server, who calls, who is logged in.

Knows no job and no row: what is served is its caller's.
"""
