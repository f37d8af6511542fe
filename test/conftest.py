"""Makes the folder `training/`, which is not installed, importable; the installed package stays
first.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
