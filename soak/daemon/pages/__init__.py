"""What people see of the daemon in a browser: pages made by the server, and charts that move.

    /  runs and their verdicts     /runs/{n}  one run, live     /compare  two of them     /queue     /calendar
    /login   /logout               /static/...                  style, scripts, plotly

A page asks the daemon's own API, within the process and as whoever looks, so that roles, the audit log and refusals are
the same for people and for programs.
"""
