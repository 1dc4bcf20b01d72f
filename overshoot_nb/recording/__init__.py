"""A run as one file: written while it goes on, loaded, and played again.

::

    recordable            all of it as a method of a stream
    format                which columns a file has, and what they hold
"""
