"""The demo: the real product beside a real backend process, telling the story of a lane's day.

`story.py` tells it, `stage.py` sets it up, `props.py` and `camera.py` hold what it plays with (processes, a line that
can be cut, a phone, pictures of it), `report.py` compares the two halves at the end. The one rule: nothing here is
simulated but the scanner, what the camera sees, and the printer.
"""
