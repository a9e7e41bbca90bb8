"""Work on files, done on the machines of one company's own Ray cluster.

Knows no job, no other party and nothing of what is computed: which work it is, its caller names.
"""
