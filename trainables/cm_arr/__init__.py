"""`cm_arr`: cross-modal alignment, reconstruction and refinement for missing modalities (Sun et al. 2024).

`config` holds the settings (no torch); `uncertainty`, `recovery` and `fusion` are the parts of the network, `model`
puts them together, `train` is the one stage, `quality` measures what was recovered, `method` ties them.
"""
