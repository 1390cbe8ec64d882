"""`cm_arr`: cross-modal alignment, reconstruction and refinement for incomplete data.

Citation: H. Sun, S. Zhao, S. Li, X. Kong, X. Wang, A. Kong, J. Zhou, Y. Chen, W. Zeng, Y. Qin, "Enhancing Emotion
Recognition in Incomplete Data: A Novel Cross-Modal Alignment, Reconstruction, and Refinement Framework", 2024,
arXiv 2407.09029.

=================  ==============================================  ==========================================
equation           what                                            function
=================  ==============================================  ==========================================
fig. 3             uncertainty module: mean and variance           `uncertainty.Uncertainty`
1                  2-Wasserstein distance                          `losses.wasserstein2`
2-5                alignment L_udcl                                `losses.matching_nce`, `train.alignment`
section 3.2        projection X by 1-D convolution                 `uncertainty.Encoder`
6, 8               flow of a modality and its inverse              `recovery.FlowRecovery`
7                  estimate of a missing modality                  `recovery.estimate`
section 3.2        residual channel attention blocks               `recovery.ChannelAttentionBlock`
9                  recovery loss L_rec                             `train.recovery`
section 3.3.1      refinement L_spcl                               `losses.supervised_contrastive`,
                                                                   `train.refinement`
10-13              cross-modal fusion                              `fusion.Fusion`
14                 objective                                       `train.losses`, `train.total`
table 2            test conditions                                 `train.under_conditions`
fig. 5             recovered against true vectors                  `quality.measure`, `quality.each_missing`
=================  ==============================================  ==========================================

Deviations from the paper:

- Feature form: a stored vector stands for the sequence that an encoder would give. It is a sequence of length 1, over
  which a 1-D convolution is a linear map; its channels are cut into a few tokens (`train.tokens`), so that attention
  over a sequence has something to attend over. All that follows is the paper's, over those tokens.
- The learning rate is 1e-3, not the 1e-5 of fine-tuned encoders; batches of 16 and 100 epochs are the paper's.
- Eq. 9 as printed has gradients in both X and its target, and X shrinks. They end at both sides by default: flows and
  recovery blocks read X without changing it. `train.stop_gradient: none` is the printed form, ``target`` stops at the
  target only, which still shrinks the source. Eq. 9 is a mean over values here, not a sum.
- Eq. 1 is the 2-Wasserstein distance only with standard deviations in place of variances;
  `train.wasserstein: variance` is the printed form.
- b of eq. 5 cancels in eq. 3-4 and never learns; of a and tau only a / tau counts. Both are there, as printed. The
  distance is a mean over values, so that one starting a / tau suits any size. It is -0.1, chosen on dev of IEMOCAP:
  from -10 or -1 the alignment outweighs the cross entropy, and text loses what audio does not share with it.
- Nothing in eq. 14 makes Z Gaussian; `train.likelihood` adds the flows' negative log-likelihood (0: as printed).

Decisions where it is silent:

- X is made of the mean of the Gaussian; `train.drawn` samples in training. Means and deviations are compared over all
  tokens; every pair of modalities enters L_udcl, summed.
- In training each utterance is left with a random non-empty subset of its modalities. L_udcl and L_rec see all that
  an utterance has; the classifier and the latent estimate only what was left.
- With two modalities eq. 7 is a copy of the other one's latent. Where nothing is available it is 0.
- The query of eq. 10-11: every modality is, over every other, so that all conditions share one form.
- L_spcl is that of Khosla et al. 2020 over the modalities of all utterances of a batch, as they enter fusion (so also
  recovered ones); modalities of the same utterance are neither positives nor negatives.
- beta is 0.1 (section 4.2); section 4.5 calls 0.5 the best.
- "w/o attention" is read as without the channel attention of the recovery blocks: the fusion's attention is in the
  paper's Baseline, too. A row of ours takes the attention of fig. 3 away instead.
- "Baseline": no uncertainty module, no recovery, cross entropy only, complete inputs in training; zeros stand for what
  is missing in test. "w/ Point": eq. 1 over the means, without variances.
- Flows are affine couplings (zuko), as in the flow of Wang et al. 2023, whose way back costs two passes.
- Conditions are tested on all test utterances. One that truly lacks a modality of the condition goes with what it has
  of it, even if that is nothing; modalities outside the condition are never looked at. `predict` uses all there is.
- The paper's averages leave the complete condition out; the mean over conditions that chooses epochs has it in.
"""

from __future__ import annotations

from trainables.cm_arr import quality, train
from trainables.cm_arr.config import Config
from trainables.cm_arr.predict import predict
from trainables.methods import Method, Stage

METHOD = Method(
    name="cm_arr",
    title="Enhancing Emotion Recognition in Incomplete Data: A Novel Cross-Modal Alignment, Reconstruction, and "
    "Refinement Framework",
    citation="Sun, Zhao, Li, Kong, Wang, Kong, Zhou, Chen, Zeng, Qin 2024, arXiv 2407.09029",
    config=Config,
    stages=(
        Stage(
            name=train.NAME,
            run=train.run,
            active=lambda config: True,
            epochs=lambda config: config.train.epochs,
            depends=("train",),
            classifies=True,
            vectors=tuple(f"train.{name}" for name in (*train.WEIGHTS, "learning_rate", "weight_decay")),
        ),
    ),
    predict=predict,
    measures=quality.MEASURES,
    version=1,
)
