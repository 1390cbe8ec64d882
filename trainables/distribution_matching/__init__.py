"""`distribution_matching`: semi-supervised recognition by cross-modal distribution matching (Liang et al. 2020).

`config` holds the settings (no torch), `autoencoders` and `sequences` the networks of table 3, `model` ties them,
`matching` and `objective` hold eq. 3-9, `parts` says which utterances are labeled, `train` and `pretrain` are the
stages.
"""
