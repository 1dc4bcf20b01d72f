"""``Recordable``: the methods of a stream that keep it as a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from overshoot_nb.support.redaction import hidden

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

    from .recorder import Recorder


class Recordable:
    """Recording. ``_run`` is whose."""

    _run: Run

    def record(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, progress: bool = True
    ) -> Recorder:
        """Keep the run as one Parquet file: rows, pictures, settings, prompts, labels, drops.

        pandas, Polars and DuckDB read it as it is (the columns are described at
        :mod:`overshoot_nb.recording.format`), and ``overshoot_nb.load(path)`` makes a stream of it
        again. What came before is in it too, as far as the pictures are still kept.

        Of a stream that is over the whole file is written at once. Of a running one there is a
        first file when this returns; it grows on a thread of its own until the stream is over,
        through restarts and pauses, or the recorder is closed. At every moment it is a whole
        Parquet file, also after the process was killed: at most the last few seconds are missing.
        Neither a slow nor a full disk stops the stream. Meanwhile the file looks larger than it is,
        by 64 MB or more that are a hole, and its newest rows move: open it anew to see more.

        Labels and backfills that come when the file is finished are not in it: record once more,
        with ``overwrite=True``. Pictures of answers that the stream keeps no more are taken from
        the files that it was recorded to before.

        Args:
            path: where to write it. Folders are not made. A process that is killed as it puts a
                file there may leave a hidden ``.NAME.*.part`` beside it, which can be deleted.
            overwrite: replace a file that is there, once the new one is whole.
            progress: show a progress bar (tqdm) where it takes longer than a second.

        Raises:
            ValidationError: there is a file already, the folder is not there, or the path is that
                of a file being recorded.
            OSError: the file cannot be written.
        """
        path = hidden(path)
        from .recorder import start_recording

        return start_recording(self._run, path, overwrite=overwrite, progress=progress)
