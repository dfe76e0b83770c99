"""The commands: one module each, thin calls of the layers below.

The modules behind ``--help`` (options, parsing, help, registry) import nothing heavy. The module of a
command is imported when that command runs.
"""
