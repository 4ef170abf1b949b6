"""Engines in processes of their own: recognisers and voices that are not re-entrant, hold the lock, or exit.

``process`` is the parent's side, ``inside`` the child's, ``wire`` what they say to each other, ``backoff``
when something that died is started again. The child's side needs no more than numpy.
"""
