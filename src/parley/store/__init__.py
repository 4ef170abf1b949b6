"""Models on this machine: voices, recognisers, turn models, small language models; where each comes from.

``catalog`` says what can be had, ``sources`` fetch it, ``Store`` keeps it, ``choice`` takes the best.
"""

from parley.store.catalog import Catalog, Entry, Source, read_catalog
from parley.store.settings import StoreSettings
from parley.store.shelf import Store, open_store

__all__ = ["Catalog", "Entry", "Source", "Store", "StoreSettings", "open_store", "read_catalog"]
