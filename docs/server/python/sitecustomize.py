"""Let Python collect garbage seldom: the server's `search_runs` then takes a third of the time.

Python imports a module of this name as it starts. A search of 1,000 runs makes some 200,000
objects, none of which is garbage yet. By default each 700 new ones begin a search for garbage.
"""

import gc

gc.set_threshold(100_000, 20, 100)
