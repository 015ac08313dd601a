"""``hpcgan doctor``: looks at the machine before a job is spent on it.

``examine`` is the whole way: start MPI under watch (``start``, ``sentry``), have each rank gather
facts, exchange them with deadlines, judge, print. The modules ``software``, ``placement``,
``network``, ``data``, ``space`` and ``slurm`` each open with the facts of one subject and how they
are gathered, and end with functions that judge them: pure functions from facts to ``Finding``s.
TensorFlow is not imported.
"""
