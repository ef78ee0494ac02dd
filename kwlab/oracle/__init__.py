"""Scenarios on a real Linux kernel: Debian's, booted under QEMU, with a module that plays them.

Nothing is installed and nothing of this machine's kernel is touched: packages are fetched by name and unpacked into a
cache, the module (`module/kwlab_oracle.c`) is built there, and the guest's memory is all it can write to.
"""
