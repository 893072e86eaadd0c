"""Getting pictures, as `xray data get` and `xray data build` do.

`known` (the collections: facts alone), `ways` (from where), `unpack`, `arrange` (into the layout,
and whether all is there), `place` (a folder whole or not at all), `steps` (all of it in a row);
`hannover` and `open_set` (an openly licensed set).
"""
