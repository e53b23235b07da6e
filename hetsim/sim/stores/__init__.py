"""How a battery holds its energy, one model a file.

A store has `capacity` and `stored` joules and a `level`: 0 where nothing can be taken any more, 1
where nothing more goes in. It answers in closed form what `power` watts at its terminals (positive
out of it, negative into it) do in `dt` seconds, and when that brings it to a level.
"""
