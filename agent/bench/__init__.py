"""The bench: what each step of a sale costs, beside a rival or a limit measured in the same run.

`props.py` is a lane on real files with a lender of its own; `measure.py` times and compares; the other modules are one
subject each. The one rule: no figure stands alone; the machine's mood hits both sides of a ratio alike.
"""
