"""From a guess to a measured prompt, on the pictures that the model saw.

::

    run                   what all of this needs of a stream
    tunable               all of it as methods of a stream

    asking again
    asking                a prompt version, asked about a stored sample
    answer_cache          identical requests are asked once
    asking_many           many questions, a few at a time
    budget                when to stop asking
    backfill              one version over many samples, while the stream goes on
    backfill_plan         which samples, which column, whom to ask
    backfill_work         asking, until all is answered or nothing more will be
    gaps                  when a live stream leaves the embedded engine alone
    tally                 what became of each sample
    backfill_display      how a backfill looks
    later_answers         what was asked later, by version and sample
    side_columns          that, beside the rows of the table

    judging
    fields                the fields of an answer, and what they can say
    judged_values         the text, numbers and items that judges compare
    labels                what the answers should be
    label_values          what a label can be made of
    labelling             what a user says about an answer, as labels
    judging               which answers are right, field by field
    score                 how often each version is right, and what its answers cost
    score_table           how that looks
    scoring               scores, flips and paired tests of a run, or of any answers
    statistics            intervals, paired tests, how many labels more would tell
    stability             answers that flicker

    side by side
    comparison            compare(): frames x prompts x models
    comparison_plan       what is asked: every prompt of every model, once
    comparison_asking     asking it, and nothing twice
    comparison_result     what came of it: answers, scores, the winner
    comparison_frame      the answers as a tidy DataFrame
    comparison_stability  how steady they are
    comparison_display    how all of that is shown, as text and as a grid
    comparison_grid       what stands in the grid's cells, and which of them differ
    grid_html             the grid as HTML (grid.css: how it looks)
    thumbnails            pictures small enough to be saved with a notebook
    pictures              streams, rows, stores and images as samples
    images                image files and arrays as frames

    versions
    prompt_diff           what changed from one to another
    prompt_file           one as a TOML file
    prompt_code           one as the cell that starts a stream with it
    suggesting            better prompts from a language model
    suggestion_request    what the model is told, and what is taken from its answer
    suggestion_trial      trying prompts on labelled samples
    suggestions           what came of it
"""
