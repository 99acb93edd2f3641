"""The built-in data set `debian`: which packages of Debian 12 need which.

`debian.parquet` holds two string columns. `user` is a package of Debian 12 (bookworm, main,
amd64); `item` is a package it depends on, pre-depends on or recommends. The rows are distinct,
sorted and a 5-core. The file's own metadata names the release, the date and checksum of the index
it was made from, and the rules in one sentence; counts and rules are in the README beside it, and
`tools/build_debian.py` rebuilds it.

Licence: package relationships are facts, taken from the package index that Debian publishes, and
free to redistribute. No description, maintainer or other text of the index is in the file.
"""
