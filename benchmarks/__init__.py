"""The scripts behind every number in the README: `make bench NAME=…`. The last line of each is one JSON object."""
