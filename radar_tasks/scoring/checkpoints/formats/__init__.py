"""How a checkpoint lies on disk: native, internvl_chat, llava_projector."""
