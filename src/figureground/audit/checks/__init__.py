"""What is wrong with the inputs, and is this the model that was meant; before anything is measured."""
