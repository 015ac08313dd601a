"""``hpcgan doctor``: looks at the machine before a job is spent on it.

``examine`` is the whole way: have each rank gather facts, exchange them with deadlines, evaluate,
print. The modules ``software``, ``placement``, ``network``, ``storage`` and ``slurm`` each open
with the facts of one subject and how they are gathered, and end with functions that evaluate them:
pure functions from facts to ``Findings``. TensorFlow is not imported.
"""
