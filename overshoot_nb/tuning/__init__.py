"""From a guess to a measured prompt, on the pictures that the model saw.

::

    run            what all of this needs of a stream
    asking         a prompt version, asked about a stored sample
    answer_cache   identical requests are asked once
    later_answers  what was asked later, by version and sample
    backfill       one version over many samples, while the stream goes on
    side_columns   its answers, beside the rows of the table
    fields         the fields of an answer, and what they can say
    labels         what the answers should be
    label_values   what a label can be made of
    statistics     intervals, paired tests, numbers of labels
    judging        which answers are right, field by field
    score          how often each version is right, and what its answers cost
    score_table    how that looks
    scoring        the scores, flips and paired tests of a run, or of any answers
    stability      answers that flicker
    comparison     compare(): frames x prompts x models
    comparison_plan, comparison_asking, asking_many  what is asked, and asking it
    comparison_result, comparison_frame, comparison_stability  what came of it
    comparison_display, comparison_grid, grid_html, thumbnails  how that looks
    pictures       frames, streams and DataFrames as samples
    images         image files and arrays as frames
    prompt_diff    what changed from one version to another
    prompt_file    a version as a TOML file, and as a cell
    suggesting     better prompts from a language model
    tunable        all of it as methods of a stream
"""
