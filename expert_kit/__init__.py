"""expert-kit: signed LoRA experts on one small base model, routed and composed at inference."""

__version__ = "0.1.0"
