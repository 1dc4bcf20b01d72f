"""From rows to findings: ``df.overshoot``, live outputs and alerts.

::

    accessor              df.overshoot: the methods of the modules below, on any rows
    registration          gives DataFrames the accessor, whenever pandas is imported
    rows                  which run, sample and picture a row is about
    clip_player           the clip of a sample as a small MP4 that a notebook plays
"""
