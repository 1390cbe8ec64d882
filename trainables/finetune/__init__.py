"""Fine-tuning of pretrained encoders inside a stage: by one process, or by a group of workers for each step.

`workers` holds accelerate and what crosses between workers, `steps` deals an epoch's utterances out, `waves` keeps
recordings in memory, `adapters` is LoRA by peft, `rows` keeps what is trained of every fold and seed while another has
its turn on the device, `vectors` are those of an encoder at rest, `folder` puts an encoder into tensors and back.
`trainables.mi_infogan.tune` is the stage that is made of them. Nothing here knows Ray; transformers, accelerate and
peft are imported when a config asks for them.
"""
