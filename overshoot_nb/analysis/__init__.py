"""From rows to findings: ``df.overshoot``, live outputs and alerts.

Importing it gives every DataFrame the accessor. :func:`of` is the accessor for type checkers, which
cannot see what is registered: ``of(df).events("out.people > 3")`` is ``df.overshoot.events(...)``.

::

    accessor              df.overshoot: the methods of the modules below, on any rows
    rows                  which run, sample and picture a row is about
    picture_methods       pictures of rows: frame, clip, play, show
    shown_rows, row_choice, small_pictures      rows with their pictures; which; made small
    clip_player           the clip of a sample as a small MP4 that a notebook plays
    conditions            what events, alerts and selections ask: the language, of rows or of one
    condition_parser, condition_tokens, condition_tree      its text becomes a tree
    condition_kinds, condition_names        whether it makes sense of certain columns
    condition_values      what its operators and functions mean, value by value
    condition_rows, condition_columns, condition_texts      the same of whole columns
    run_order             rows run by run, by media time
    event_methods         df.overshoot.events and .changes, and what they mean
    events, peaks         when something was true, and the number that was largest then
    changes               when a value became another one
    video_methods         subtitles and annotated videos
    captions, captions_text, captions_wrapping      rows over time as texts; in lines
    subtitles             captions as SubRip and WebVTT
    annotate              which video, what is checked, and a file that is whole or not there
    annotated_file, annotated_tracks, annotated_frames      of a file; its tracks; of pictures
    annotated_picture, stills       frames for the encoder; stored pictures as H.264
    captions_drawing, captions_fonts        captions blended into frames; the fonts there are
    alerts, triggers, alert_actions, bell   a condition that is watched; when it fires; what follows
    live, notebook_output                   an output that follows the rows
    table_methods         resample, latency, tokens, cost, drops, agreement, explode; plot
    runs                  rows run by run, and which of them hold answers
    resampling, time_grid           a row for each stretch of media time
    grouping, latency, costs        groups of rows; how long their answers took, and what they cost
    drops                 the samples that were never answered
    agreement, pairing    how often two say the same; whose answers stand side by side
    exploding             items of lists as rows
    export_methods, exports         rows as Parquet, CSV and JSON Lines
    plotting              df.overshoot.plot
    figures               what a figure shows, whoever draws it
    plot_values, timeline, distributions    how rows become figures
    altair_drawing, altair_timeline, altair_parts, altair_chart     drawn with Altair, offline
    matplotlib_drawing    drawn with Matplotlib
"""

from .accessor import OvershootAccessor, of

__all__ = ["OvershootAccessor", "of"]
