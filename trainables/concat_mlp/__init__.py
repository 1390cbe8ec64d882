"""`concat_mlp`: early fusion, a small network on concatenated features; the baseline of what training adds.

`config` holds the settings (no torch), `classify` the only stage, `method` ties them.
"""
