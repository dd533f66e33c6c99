"""The public functions, one a verb: what the command line is thin over.

A package and not one module, since every function names all its options with their types, and the results
write themselves down in several forms: together they are three times what one module may hold. A module is
a kind of work: `pictures` (dedupe, compare, prefilter), `index`, `plans` (apply, undo), `products` (cluster,
train, classify, evaluate, plot, extract_features), `fetching` (fetch_dataset).

Two verbs have longer names here than on the command line, ``extract_features`` and ``fetch_dataset``:
``cvsim.features`` and ``cvsim.fetch`` are folders of this package, and one name has one meaning.

Nothing is imported here: `cvsim` imports each name on first use.
"""
