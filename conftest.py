"""What pytest looks for doctests in, and that no property is judged by the time it takes."""

from importlib.util import find_spec

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

collect_ignore_glob = [] if find_spec("triton") else ["*/triton_kernels.py"]
