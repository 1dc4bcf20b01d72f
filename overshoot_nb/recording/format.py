"""What a recording is: one Parquet file, its columns, and what is said beside them.

One row for each sample of the run, and one for each answer of a backfill, in the order in which
they came to be. Every row has every column; what does not apply is null:

======================  ==========================  ===========================================
column                  Parquet / Arrow             value
======================  ==========================  ===========================================
kind                    string                      see below
sample                  int64                       index of the sample
media_time              double                      seconds since the first frame
captured_at             timestamp[us, UTC]          wall clock of what is seen: when the sample was
                                                    taken, unless the source has its own clock
answered_at             timestamp[us, UTC]          when its answer was there
ok                      bool                        False where the inference failed
result                  string                      the answer's text
out.*                   by the schema, see below    the structured answer
error                   string                      what went wrong
reasoning               string                      what the model thought before its answer; not
                                                    in files of 0.5.0
mode                    string                      frame or clip
model                   string                      the model that answered
prompt                  string                      what was asked
prompt_version          int64                       1 for the run's first prompt
finish_reason           string                      stop, length or content_filter
inference_latency_ms    double                      milliseconds from request to answer
total_latency_ms        double                      milliseconds from capture to answer
prompt_tokens           int64                       tokens, where the server said
completion_tokens       int64                       likewise
total_tokens            int64                       likewise
cost_cents              double                      US cents, where the server said
copied_from             int64                       the sample with the same picture whose answer
                                                    this is; older files have no such column
stream_id               string                      the stream
id                      string                      the result's own id
frame_times             list<double>                times of the frames that were asked about
output                  string                      the structured answer whole, as JSON
reason                  string                      why the sample was dropped
frames                  list<struct<...>>           its pictures: media_time (double, seconds),
                                                    width, height (int32, pixels), jpeg (binary)
video                   binary                      the clip as MP4, where one was sent
exact                   binary                      what the other columns cannot hold, see below
======================  ==========================  ===========================================

============  ====================================================================================
kind          the row is
============  ====================================================================================
result        a sample that was answered; these rows, in this order, are ``stream.df``
drop          a sample that was not, and why
waiting       a sample that had no outcome yet; another row of the same sample follows it, unless
              the recording was cut off
later         another prompt version's answer about a sample; it has no pictures of its own
============  ====================================================================================

Of several rows of one kind, sample and version the last one counts.

``out.*`` are the columns of the run's table: string, int64, double, bool, timestamp[us, UTC];
lists, objects and integers beyond 64 bits are JSON text. They are there for other readers: ours
takes ``output``, whose numbers that JSON has not are written as Python does (NaN, Infinity). While
a run is being recorded they are those of the schemas that it had when that began; a file that is
complete has those of all its schemas.

Python's strings can hold what no encoding of text can: lone surrogates, which JSON's escapes bring.
In the columns they are question marks, and ``exact`` has the real text; likewise integers beyond
64 bits. It is null nearly always, else UTF-8 (with ``surrogatepass``) of a JSON object of column to
value: ``row | json.loads(row["exact"].decode("utf-8", "surrogatepass"))``.

Pictures are stored as they are (a JPEG cannot be made smaller); all else is compressed with zstd.
``frames`` is null where the run had the pictures no more. A row group holds at most
:data:`GROUP_BYTES` of pictures and texts and :data:`GROUP_ROWS` rows, or one sample that is larger.

The file's own key-value metadata has under :data:`METADATA_KEY` a JSON object, described at
:mod:`overshoot_nb.recording.run_metadata`: ``format`` (1), ``settings``, ``prompts``, ``labels``,
``columns``, ``counters`` and what else is known of the run. No key, token or password of a URL is
anywhere in the file.
"""

from __future__ import annotations

#: Version of the format: a reader refuses a newer one.
FORMAT = 1
METADATA_KEY = "overshoot_nb"
#: What is read to get at one picture.
GROUP_BYTES = 8 * 2**20
GROUP_ROWS = 50_000
