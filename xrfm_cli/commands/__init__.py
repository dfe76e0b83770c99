"""The commands: one file each, thin calls of the layers below.

What is imported to answer ``--help`` (options, parsing, help, registry) imports nothing heavy;
a command's own module is imported when that command runs.
"""
