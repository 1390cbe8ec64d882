"""`subspace_mapping`: public and unique subspaces of audio and text, over dialogues (Du et al. 2024).

`config` holds the settings (no torch), `dialogues` and `reading` what is read together, `recurrent`, `attention` and
`model` the network, `objective` its losses, `fuse` the one stage, `measure` and `predict` what follows; `method` ties
them.
"""
