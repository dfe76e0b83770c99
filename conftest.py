"""What pytest looks for doctests in."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("triton") else ["*/triton_kernels.py"]
