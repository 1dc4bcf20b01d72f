"""The stream as a Jupyter widget. The only package that imports anywidget.

::

    messages          every message between kernel and page, mirrored in TypeScript
    message_values    what they are made of
    content, rows     what messages and traits say of a stream and its results
    advice            what a person can do about an error
    pages             who looks on, and how many pictures each may still be sent
    kernel_link       from the streams' threads to the kernel's, and to the page
    screen            pictures -> messages
    reporter          what happened to the stream -> messages and traits
    steering          what a page asks for -> the stream
    snapshot          what stays where there is no kernel
    stream_widget     the widget itself: its traits

The Tune tab::

    tuning_messages   its words, inside the messages `tune` and `tuned`
    tuning_choice     which versions, field and samples it looks at
    tuning_view       what that comes to
    tuning_labels     labels as pages set them, and how they are taken back
    tuning_standing   how good the versions are, and which answers are right
    tuning_grid       samples down, versions across
    tuning_content    what messages say of versions, backfills and changes
    tuning_reporter   what changed -> messages, at a pace that a page can take
    tuning_steering   what the tab asks for -> the stream
"""

from .stream_widget import StreamWidget

__all__ = ["StreamWidget"]
