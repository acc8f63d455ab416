"""`latest/`: for each place, source and model the newest run whose valid times are not past.

An object, a part, holds the places of one collect task, whose next answers replace it, or of one
upload; so a raw object is one write. What is newest at a place is found over all parts at reading.

runs: which of two runs is newer, and how the pieces of one are put together
parts: a part as bytes
reader: the newest runs of places over all parts, and the end of parts that nobody needs
"""
