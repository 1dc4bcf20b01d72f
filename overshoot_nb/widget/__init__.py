"""The stream as a Jupyter widget. The only package that imports anywidget."""

from .stream_widget import StreamWidget

__all__ = ["StreamWidget"]
