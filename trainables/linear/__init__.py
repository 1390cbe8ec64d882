"""`linear`: balanced multinomial logistic regression on concatenated features, the baseline to beat.

`config` holds the settings (no torch), `fit` the only stage, `method` ties them.
"""
