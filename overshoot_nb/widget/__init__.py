"""The stream as a Jupyter widget. The only package that imports anywidget.

::

    messages       every message between kernel and page, mirrored in TypeScript
    content, rows  what messages and traits say of a stream and its results
    advice         what a person can do about an error
    pages          who looks on, and how many pictures each may still be sent
    kernel_link    from the streams' threads to the kernel's, and to the page
    screen         pictures -> messages
    reporter       what happened to the stream -> messages and traits
    steering       what a page asks for -> the stream
    snapshot       what stays where there is no kernel
    stream_widget  the widget itself: its traits
"""

from .stream_widget import StreamWidget

__all__ = ["StreamWidget"]
