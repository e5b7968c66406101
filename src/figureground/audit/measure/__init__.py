"""Pure measures on maps and masks, the donor contrast, streaming through Trainer.predict."""
