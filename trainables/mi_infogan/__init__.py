"""`mi_infogan`: mutual-information regularised generation of emotion features (Ahn et al. 2025).

`config` holds the settings (no torch), `align`, `generate` and `augment` the three stages, `added` what the last one
may put beside real features, `method` ties them.
"""
