"""A run as one file: written while it goes on, loaded, and played again.

::

    recordable            all of it as a method of a stream
    format                which columns a file has, and what they hold
    recorder              what a recording is to its user; how one begins
    ended_run             a run that is over, written in one pass
    live_recording        a run that goes on: what is noted, and the thread that writes it
    unsealed              the rows that are in memory, and which of them are staged
    growing_file          a Parquet file that is whole at every instant
    widening              columns of schemas that came while a run was recorded
    arrow_rows            samples and answers as Arrow tables
    run_metadata          settings, prompts, labels and counters as JSON
    run_secrets           which secrets a run knows, and texts without them
    row_groups            row groups and footers of a Parquet file, as bytes
    compact_thrift        the encoding of footers
    whole_file            a Parquet file that is written from its beginning to its end
    placing               a file that takes its place whole
    loading               load(path)
    recording             a recording as the stream that it was
    recorded_life         what it has in place of a stream's life
    player                its pictures on a screen, each at its time
    recording_file        its file as it is read: footers, columns, while it may still grow
    recorded_rows         its rows as what they were made of
    picture_pages         where each picture stands in the file
    recorded_frames       its pictures, read when they are looked at
    recorded_metadata     what it says of its run, read
    recorded_source       what was watched, where it cannot be watched again
    replaying             replay(path)
    replay_source         a recording as a source, as a client, or played whole
    replay_address        a recording as a base_url
    replay_service        a recording in the place of a server
    held_file             a file that stays while another takes its place
    replay_script         what happened in a run, in order
    replay_session        ... happening again
    replay_clock          ... when
    replay_chapters       ... how far, with what was asked so far
    replay_pictures       ... with its pictures
    replay_asker          its answers about single samples
    recorded_errors       its errors, of the classes that they were
"""
