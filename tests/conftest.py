"""What holds for every test of given examples. The one rule: how busy the machine is decides no verdict.

Where main is checked (CI in the environment), the same commit meets the same examples each time.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "counterfoil",
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("counterfoil")
