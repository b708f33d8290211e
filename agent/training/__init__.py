"""A training counter: the real product on play money, with a sandbox backend of its own beside it.

`stage.py` sets it up, `settings.py` writes its configuration, `scenes.py` is what a trainee lets happen. The one rule:
it has its own state, keys and backend; the real lane's ledger is never opened, and its own opens nowhere else.
"""
